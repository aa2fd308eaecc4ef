import type { Cancellation } from "../../core/cancellation.ts";
import type { Clock } from "../../core/clock.ts";
import { errorKind, isErrorCode, type CortexError } from "../../core/errors.ts";
import { logQuickly, quoted, type Logger } from "../../platform/logger.ts";
import type { RequestFacts } from "../front/request-facts.ts";
import { ANONYMOUS_ID, type Principal } from "../keys/key-ring.ts";
import type { AnswerCost } from "../relay/relay-answer.ts";
import type { AnswerSink } from "../relay/io/client-response.ts";
import type { RequestRecord } from "../request-record.ts";
import type { TracedRequest } from "./request-tracing.ts";
import { UNKNOWN_MODEL, type GatewayMetrics } from "./gateway-metrics.ts";

/** Logged and counted for a client that left before its answer was complete; never sent. */
const STATUS_CLIENT_LEFT = 499;

export type Phase = "routing" | "loading" | "relaying";

/** One request from its last byte to the end of its answer, and what is to be said of it afterwards. */
export interface Exchange {
  readonly requestId: string;
  /** What the client asked. */
  readonly route: string;
  /** What the neuron is asked. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly facts: RequestFacts;
  readonly principal: Principal;
  readonly client: AnswerSink;
  /** When the client leaves (reason `CLIENT_LEFT`) or the gateway stops (reason: the error to send). */
  readonly cancellation: Cancellation;
  readonly trace: ExchangeTrace;
  /** Null where the request is in no trace. */
  readonly traced: TracedRequest | null;
}

export const CLIENT_LEFT = new Error("the client left");

/** Filled in as the request goes its way: what is remembered of it, and what is of use until its end only. */
export interface ExchangeTrace extends RequestRecord {
  phase: Phase;
  cut: boolean;
  /** The whole answer has been written: whoever leaves now has it. */
  completed: boolean;
  /** Of the last attempt; undefined before one was over. */
  cost: AnswerCost | undefined;
}

export const newTrace = (
  begun: Pick<RequestRecord, "requestId" | "route" | "key" | "stream" | "startedAtMs" | "startedAtEpochMs">,
): ExchangeTrace => ({
  ...begun,
  modelId: undefined,
  neuron: "",
  steps: [],
  phase: "routing",
  errorCode: undefined,
  firstContentMs: undefined,
  retries: 0,
  coldStart: false,
  cut: false,
  completed: false,
  cost: undefined,
  costSoFar: undefined,
  usage: undefined,
  durationMs: undefined,
  status: undefined,
});

/** An error that came after the head of a good answer counts as what it would have been before it. */
function trueStatus(sent: number | null, errorCode: string | undefined): number {
  if (sent === null) return STATUS_CLIENT_LEFT;
  if (errorCode === undefined || sent >= 400) return sent;
  return isErrorCode(errorCode) ? errorKind(errorCode).httpStatus : 502;
}

/** Answers with an error and remembers it for log and metrics. */
export function failExchange(exchange: Exchange, error: CortexError): void {
  exchange.trace.errorCode = error.code;
  exchange.client.fail(error);
}

/** Records are kept for a while; what told the cost under way holds the request's bodies and sockets. */
const costAtTheEnd = (cost: AnswerCost | undefined): (() => AnswerCost) | undefined =>
  cost === undefined || cost.usage !== undefined ? undefined : () => cost;

export interface ReportDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
}

/** One log line and the metrics of a request that has ended. Nothing of what was asked or answered is in them. */
export function reportExchange(exchange: Exchange, deps: ReportDeps): void {
  const { trace, client, cancellation } = exchange;
  const { metrics } = deps;
  const durationMs = deps.clock.monotonicMs() - trace.startedAtMs;
  const left = cancellation.reason === CLIENT_LEFT && !trace.completed;
  const status = left ? STATUS_CLIENT_LEFT : trueStatus(client.status, trace.errorCode);
  trace.durationMs = durationMs;
  trace.status = status;
  trace.costSoFar = costAtTheEnd(trace.cost);
  exchange.traced?.ended(trace);
  const labels = { model: trace.modelId ?? UNKNOWN_MODEL, node: trace.neuron };
  metrics.requests.inc({ ...labels, status: String(status) });
  metrics.requestDuration.observe(labels, durationMs / 1000);
  if (trace.errorCode !== undefined) metrics.requestErrors.inc({ ...labels, code: trace.errorCode });
  if (trace.cut) metrics.streamsCut.inc(labels);
  if (left) metrics.clientDisconnects.inc({ model: labels.model, phase: trace.phase });
  logQuickly(deps.logger, lineOf(exchange, { status, durationMs }), "request");
}

/** What the log says of a request. */
function lineOf(
  { requestId, route, facts, principal, trace }: Exchange,
  { status, durationMs }: { readonly status: number; readonly durationMs: number },
): string {
  const { modelId = UNKNOWN_MODEL, neuron, firstContentMs, coldStart, retries, errorCode } = trace;
  let line =
    `,"request_id":${quoted(requestId)},"route":"${route}","model":${quoted(modelId)},"neuron":${quoted(neuron)}` +
    `,"status":${status},"stream":${facts.stream},"duration_ms":${Math.round(durationMs)}`;
  // Fields that most requests do not have.
  if (principal.id !== ANONYMOUS_ID) line += `,"key":${quoted(principal.id)}`;
  if (firstContentMs !== undefined) line += `,"ttft_ms":${Math.round(firstContentMs)}`;
  if (coldStart) line += `,"cold_start":true`;
  if (retries > 0) line += `,"retries":${retries}`;
  if (errorCode !== undefined) line += `,"code":${quoted(errorCode)}`;
  return line;
}
