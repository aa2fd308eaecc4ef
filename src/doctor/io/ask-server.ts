import { request } from "undici";
import type { Clock } from "../../core/clock.ts";
import { systemErrorCode } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { errorEnvelopeSchema, fromErrorResponse } from "../../protocol/error-envelope.ts";
import { readBoundedText } from "../../protocol/io/bounded-body.ts";
import type { ServerAnswer } from "../judge-fleet.ts";

export interface ServerQuestion {
  readonly url: string;
  readonly clock: Clock;
  readonly token?: string | undefined;
  /** Asked too, since `GET /version` may need no token: what the token is for. */
  readonly guarded?: string;
}

const PATIENCE_MS = 5000;

/** `GET /version` of a gateway or a neuron, and one question that needs the token. Never rejects. */
export async function askVersion(question: ServerQuestion): Promise<ServerAnswer> {
  const { clock, guarded } = question;
  try {
    const beganMs = clock.nowMs();
    const answer = await ask(question, "/version");
    const midwayMs = (beganMs + clock.nowMs()) / 2;
    const { body, refusal, date } = answer;
    const version =
      isRecord(body) && typeof body["package_version"] === "string" ? body["package_version"] : null;
    if (version === null && refusal === null) return NO_CORTEX;
    const guardedRefusal = guarded === undefined ? null : (await ask(question, guarded)).refusal;
    // The header is cut to whole seconds: half of one is the likeliest rest.
    const skewMs = Number.isNaN(date) ? null : Math.round(date + 500 - midwayMs);
    return { kind: "answered", version, skewMs, refusal: refusal ?? guardedRefusal };
  } catch (thrown) {
    return silent(reasonOf(thrown), nextFor(thrown));
  }
}

const silent = (message: string, next: string): ServerAnswer => ({
  kind: "silent",
  trouble: { message, next },
});

const NO_CORTEX = silent("what answers there is no cortex", "check the address");

interface Answer {
  readonly body: unknown;
  /** In the words of a server of cortex; null for what is no refusal, or not one of cortex's. */
  readonly refusal: { readonly message: string; readonly next: string } | null;
  /** NaN where it does not say. */
  readonly date: number;
}

async function ask({ url, token }: ServerQuestion, path: string): Promise<Answer> {
  const { statusCode, headers, body } = await request(url.replace(/\/+$/, "") + path, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const parsed = parseJson(await readBoundedText(body, 1));
  const date = Date.parse(String(headers["date"] ?? ""));
  const envelope = errorEnvelopeSchema.safeParse(parsed);
  const isRefusal = statusCode >= 400 && envelope.success && typeof envelope.data.error.next === "string";
  if (!isRefusal) return { body: parsed, refusal: null, date };
  const { message, next } = fromErrorResponse(statusCode, parsed, "unauthorized");
  return { body: parsed, refusal: { message, next }, date };
}

function codeOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  if (thrown instanceof Error && thrown.name === "TimeoutError") return "timeout";
  return systemErrorCode(cause) ?? systemErrorCode(thrown) ?? "no answer";
}

const REASONS: Readonly<Record<string, readonly [message: string, next: string]>> = {
  ECONNREFUSED: ["nothing listens there", "start it there, or mend its address in the fleet files"],
  ENOTFOUND: [
    "its name is not known here",
    "mend the name in the fleet files, or add it to DNS or /etc/hosts",
  ],
  EAI_AGAIN: ["its name cannot be looked up now", "check this machine's DNS"],
  EHOSTUNREACH: ["no way leads there", "check the network, and the firewall of that machine"],
  ENETUNREACH: ["no way leads there", "check the network of this machine"],
  ECONNRESET: ["it closed the connection", "check what listens there, and whether it wants TLS"],
  timeout: [
    `no answer within ${PATIENCE_MS / 1000} s`,
    "check the firewall of that machine, and whether it is overloaded",
  ],
};

const reasonOf = (thrown: unknown): string => REASONS[codeOf(thrown)]?.[0] ?? `no answer (${codeOf(thrown)})`;
const nextFor = (thrown: unknown): string =>
  REASONS[codeOf(thrown)]?.[1] ?? "check the address and the network";
