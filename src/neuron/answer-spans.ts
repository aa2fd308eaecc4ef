import type { DrawnSpan } from "../core/drawn-span.ts";
import type { AnswerTimings } from "../protocol/headers/timings-header.ts";

/** A traced request, when it is over. Times are milliseconds of the monotonic clock. */
export interface TracedAnswer {
  readonly route: string;
  readonly modelId: string;
  readonly spanId: string;
  /** The worker's part of the trace, had it one of its own, would hang on this. */
  readonly workerSpanId: string;
  readonly arrivedAtMs: number;
  /** Null: it was not sent to a worker. */
  readonly sentAtMs: number | null;
  readonly endedAtMs: number;
  /** "ok", or what went wrong in one word. */
  readonly outcome: string;
  /** As the worker has told; undefined where it did not: an external engine, or an answer that broke off. */
  readonly timings: AnswerTimings | undefined;
}

const span = (of: Pick<DrawnSpan, "name" | "startedAtMs" | "endedAtMs"> & Partial<DrawnSpan>): DrawnSpan => ({
  kind: "internal",
  spanId: null,
  parent: 0,
  attributes: {},
  errorCode: undefined,
  ...of,
});

/**
 * The neuron's part of a trace: the whole, what it waited for before it was sent to its worker, and the worker's work by
 * its own account: the time for a slot, the prompt, and the answer. `epochMs` turns monotonic times into those of traces.
 */
export function drawAnswerSpans(
  answer: TracedAnswer,
  epochMs: (monotonicMs: number) => number,
): readonly DrawnSpan[] {
  const { route, modelId, spanId, workerSpanId, outcome, timings, sentAtMs } = answer;
  const errorCode = outcome === "ok" ? undefined : outcome;
  const endedAtMs = epochMs(answer.endedAtMs);
  const arrivedAtMs = epochMs(answer.arrivedAtMs);
  const attributes = { "http.route": route, "gen_ai.request.model": modelId };
  const whole = span({
    name: `neuron ${route}`,
    kind: "server",
    spanId,
    parent: null,
    startedAtMs: arrivedAtMs,
    endedAtMs,
    attributes,
    errorCode,
  });
  if (sentAtMs === null) return [whole];
  const sent = epochMs(sentAtMs);
  const spans = [
    whole,
    span({ name: "admission", startedAtMs: arrivedAtMs, endedAtMs: sent }),
    span({ name: "worker", kind: "client", spanId: workerSpanId, startedAtMs: sent, endedAtMs, errorCode }),
  ];
  if (timings === undefined) return spans;
  const begun = sent + timings.queueMs;
  const decoded = begun + timings.prefillMs;
  const done = decoded + timings.decodeMs;
  const within = (ms: number): number => Math.min(ms, endedAtMs);
  return [
    ...spans,
    span({ name: "queue", parent: 2, startedAtMs: sent, endedAtMs: within(begun) }),
    span({ name: "prefill", parent: 2, startedAtMs: within(begun), endedAtMs: within(decoded) }),
    span({ name: "decode", parent: 2, startedAtMs: within(decoded), endedAtMs: within(done) }),
  ];
}
