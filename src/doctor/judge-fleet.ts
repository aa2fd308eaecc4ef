import { formatDuration } from "../core/quantities.ts";
import type { Finding } from "../protocol/findings/doctor-report.ts";
import { note, problem, warning, well } from "./found.ts";

interface Trouble {
  readonly message: string;
  readonly next: string;
}

/** How a server of cortex answered `GET /version`. */
export type ServerAnswer =
  | {
      readonly kind: "answered";
      /** Null where it refused to say. */
      readonly version: string | null;
      /** Its clock minus ours; null where it does not say. */
      readonly skewMs: number | null;
      /** What a question for which a token is needed came to; null: well. */
      readonly refusal: Trouble | null;
    }
  | { readonly kind: "silent"; readonly trouble: Trouble };

export interface FleetFacts {
  readonly fleet: string;
  readonly neurons: readonly {
    readonly name: string;
    readonly endpoint: string;
    readonly answer: ServerAnswer;
  }[];
  readonly gateway: { readonly url: string; readonly answer: ServerAnswer };
  readonly keys: {
    readonly declared: number;
    readonly admins: number;
    readonly allowAnonymous: boolean;
    /** It listens beyond this machine. */
    readonly isReachable: boolean;
  };
  readonly hasApiKey: boolean;
}

/** `Date` has whole seconds, and the way there and back is in it too. */
const SKEW_NOTED_MS = 3000;
const SKEW_HARMFUL_MS = 60_000;

export const judgeFleet = (facts: FleetFacts, ownVersion: string): readonly Finding[] => [
  well(
    { check: "fleet-files", subject: facts.fleet },
    `valid; ${facts.neurons.length} neuron${facts.neurons.length === 1 ? "" : "s"} declared`,
  ),
  ...facts.neurons.flatMap(({ name, endpoint, answer }) =>
    judgeServer({ check: "neuron", name, where: endpoint, answer }, ownVersion),
  ),
  ...judgeServer(
    { check: "gateway", name: "gateway", where: facts.gateway.url, answer: facts.gateway.answer },
    ownVersion,
  ),
  judgeKeys(facts),
];

interface Judged {
  readonly check: "neuron" | "gateway";
  readonly name: string;
  readonly where: string;
  readonly answer: ServerAnswer;
}

function judgeServer({ check, name, where, answer }: Judged, ownVersion: string): readonly Finding[] {
  const subject = { check, subject: name };
  if (answer.kind === "silent") {
    const { message, next } = answer.trouble;
    return [problem(subject, `${where}: ${message}`, next)];
  }
  const { version, skewMs, refusal } = answer;
  return [
    refusal === null
      ? well(subject, `answers at ${where}`)
      : problem(subject, `${where}: ${refusal.message}`, refusal.next),
    ...(version === null ? [] : [judgeVersion(name, version, ownVersion)]),
    ...(skewMs === null ? [] : [judgeClock(name, skewMs)]),
  ];
}

function judgeVersion(name: string, version: string, ownVersion: string): Finding {
  const subject = { check: "version", subject: name } as const;
  if (version === ownVersion) return well(subject, version);
  const mend = "neighbouring versions can talk; bring all machines to the same one";
  return warning(subject, `runs ${version}, this is ${ownVersion}`, mend);
}

function judgeClock(name: string, skewMs: number): Finding {
  const off = Math.abs(skewMs);
  const subject = { check: "clock", subject: name } as const;
  if (off < SKEW_NOTED_MS) return well(subject, "as ours");
  const words = `${formatDuration(off)} ${skewMs > 0 ? "ahead of" : "behind"} ours`;
  const mend = "let both follow a time server: timedatectl set-ntp true";
  return off < SKEW_HARMFUL_MS ? warning(subject, words, mend) : problem(subject, words, mend);
}

function judgeKeys({ keys, hasApiKey }: FleetFacts): Finding {
  const { declared, admins, allowAnonymous, isReachable } = keys;
  const subject = { check: "gateway-keys" } as const;
  if (declared === 0) {
    if (!isReachable)
      return well(subject, "none declared: whoever reaches this machine's loopback may do all");
    return allowAnonymous
      ? warning(
          subject,
          "none declared, and the gateway listens beyond this machine: everybody there may use it",
          "cortex key create NAME",
        )
      : problem(
          subject,
          "none declared, and the gateway is to listen beyond this machine: it does not start so",
          "cortex key create NAME, or `allow_anonymous = true` in [gateway]",
        );
  }
  const count = `${declared} declared, ${admins} with the admin role`;
  if (admins === 0)
    return warning(
      subject,
      `${count}: nobody may see the fleet, its usage or the page's first part`,
      "cortex key create NAME --admin",
    );
  return hasApiKey ? well(subject, count) : note(subject, `${count}; none was given to try: --api-key-file`);
}
