import { hostname } from "node:os";
import { isLoopback, localUrl, parseHostAndPort } from "../../core/addresses.ts";
import type { Clock } from "../../core/clock.ts";
import { toCortexError } from "../../core/errors.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { Logger } from "../../platform/logger.ts";
import { packageVersion } from "../../platform/package-paths.ts";
import type { DoctorReport, Finding } from "../../protocol/findings/doctor-report.ts";
import { NEURON_DEFAULT_PORT } from "../../core/addresses.ts";
import { note, problem } from "../found.ts";
import { judgeFleet, type FleetFacts } from "../judge-fleet.ts";
import { judgeMachine } from "../judge-machine.ts";
import { askVersion } from "./ask-server.ts";
import { readMachine, type WantedPort } from "./read-machine.ts";

export interface Examination {
  /** The fleet files; rejects as they are wrong. Null: there are none here, and none were named. */
  readonly loadFleet: (() => Promise<Fleet>) | null;
  readonly gatewayUrl: string | undefined;
  readonly neuronToken: () => Promise<string | undefined>;
  readonly apiKey: () => Promise<string | undefined>;
  readonly tokenFiles: readonly string[];
  readonly dataDirectory: string;
  readonly modelRoots: readonly string[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface ExamineDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks at this machine and at what it reaches of the fleet; changes nothing, and never rejects for what it finds. */
export async function examine(examination: Examination, deps: ExamineDeps): Promise<DoctorReport> {
  const { fleet, findings: ofFiles } = await readFleet(examination);
  const [machine, ofFleet] = await Promise.all([
    readMachine({ ...examination, ...deps, ports: wantedPorts(fleet) }),
    fleet === undefined ? [] : examineFleet(fleet, examination, deps),
  ]);
  const findings = [...judgeMachine(machine), ...ofFiles, ...ofFleet];
  return {
    healthy: findings.every(({ status }) => status !== "problem"),
    version: packageVersion(),
    host: hostname(),
    findings,
  };
}

interface ReadFleet {
  readonly fleet: Fleet | undefined;
  readonly findings: readonly Finding[];
}

async function readFleet({ loadFleet }: Examination): Promise<ReadFleet> {
  const subject = { check: "fleet-files" } as const;
  if (loadFleet === null) {
    const words = "none here and none named: neurons and gateway were not asked (--config PATH)";
    return { fleet: undefined, findings: [note(subject, words)] };
  }
  try {
    return { fleet: await loadFleet(), findings: [] };
  } catch (thrown) {
    const { code, message, next } = toCortexError(thrown);
    const mend = code === "fleet_invalid" ? "cortex validate" : next;
    return { fleet: undefined, findings: [problem(subject, message, mend)] };
  }
}

/** Where the programs of cortex listen, whether they run here or not. */
function wantedPorts(fleet: Fleet | undefined): readonly WantedPort[] {
  const { listen = "127.0.0.1:31313", metrics_listen: metrics = "127.0.0.1:31314" } = fleet?.gateway ?? {};
  return [
    { address: { host: "127.0.0.1", port: NEURON_DEFAULT_PORT }, purpose: "neuron" },
    { address: parseHostAndPort(listen), purpose: "gateway" },
    { address: parseHostAndPort(metrics), purpose: "metrics of the gateway" },
  ];
}

async function examineFleet(
  fleet: Fleet,
  examination: Examination,
  { clock }: ExamineDeps,
): Promise<readonly Finding[]> {
  // A token file that cannot be used is a finding of its own; the servers are asked without it then.
  const [neuronToken, apiKey] = await Promise.all([
    examination.neuronToken().catch(() => undefined),
    examination.apiKey().catch(() => undefined),
  ]);
  const listen = parseHostAndPort(fleet.gateway.listen);
  const url = examination.gatewayUrl ?? localUrl(listen);
  const [neurons, answer] = await Promise.all([
    Promise.all(
      fleet.neurons.map(async ({ name, endpoint }) => ({
        name,
        endpoint,
        answer: await askVersion({ url: endpoint, clock, token: neuronToken, guarded: "/models" }),
      })),
    ),
    askVersion({ url, clock, token: apiKey, ...(apiKey === undefined ? {} : { guarded: "/v1/models" }) }),
  ]);
  const facts: FleetFacts = {
    fleet: fleet.fleet.name,
    neurons,
    gateway: { url, answer },
    keys: {
      declared: fleet.keys.length,
      admins: fleet.keys.filter(({ role }) => role === "admin").length,
      allowAnonymous: fleet.gateway.allow_anonymous,
      isReachable: !isLoopback(listen.host),
    },
    hasApiKey: apiKey !== undefined,
  };
  return judgeFleet(facts, packageVersion());
}
