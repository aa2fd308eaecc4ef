import type { RequestRecord, RequestStep } from "./request-record.ts";
import type { LoadSeen } from "./loading/loads-seen.ts";
import type { DrawnSpan } from "../core/drawn-span.ts";
import type { TraceContext } from "../protocol/headers/trace-context.ts";

/** A trace that a request is part of, as it is needed to draw it afterwards. */
export interface RequestTrace {
  /** The span of the request as a whole. */
  readonly context: TraceContext;
  /** Of whoever sent the request. */
  readonly parentSpanId: string | undefined;
  /** Milliseconds of the monotonic clock at which its head had come. */
  readonly headAtMs: number;
  /** One for each time that the request was sent to a neuron, which got it as its parent. */
  readonly attemptSpanIds: readonly string[];
}

type Step<Kind extends RequestStep["kind"]> = Extract<RequestStep, { kind: Kind }>;

/**
 * A request that has ended, as spans: the whole, its reception, each wait with the loads that it waited for, each
 * attempt with the time to its first token and the stream after it. Nothing of what was asked or answered is in them.
 */
export function drawSpans(record: RequestRecord, trace: RequestTrace): readonly DrawnSpan[] {
  const { startedAtMs, startedAtEpochMs, durationMs = 0 } = record;
  const epochMs = (monotonicMs: number): number => startedAtEpochMs + (monotonicMs - startedAtMs);
  const endedAtMs = epochMs(startedAtMs + durationMs);
  const spans: DrawnSpan[] = [
    {
      name: `POST ${record.route}`,
      kind: "server",
      spanId: trace.context.spanId,
      parent: null,
      startedAtMs: epochMs(trace.headAtMs),
      endedAtMs,
      attributes: wholeAttributes(record),
      errorCode: record.errorCode,
    },
  ];
  const add = (span: Pick<DrawnSpan, "name" | "startedAtMs" | "endedAtMs"> & Partial<DrawnSpan>): number => {
    const defaults = {
      kind: "internal",
      spanId: null,
      parent: 0,
      attributes: {},
      errorCode: undefined,
    } as const;
    return spans.push({ ...defaults, ...span }) - 1;
  };
  add({ name: "receive", startedAtMs: epochMs(trace.headAtMs), endedAtMs: epochMs(startedAtMs) });
  let attempts = 0;
  for (const step of record.steps) {
    if (step.kind === "waited") addWait(step, { add, epochMs, endedAtMs });
    if (step.kind !== "sent") continue;
    const spanId = trace.attemptSpanIds[attempts] ?? null;
    attempts += 1;
    addAttempt(step, { record, spanId }, { add, epochMs, endedAtMs });
  }
  return spans;
}

interface Drawing {
  readonly add: (span: Pick<DrawnSpan, "name" | "startedAtMs" | "endedAtMs"> & Partial<DrawnSpan>) => number;
  readonly epochMs: (monotonicMs: number) => number;
  /** Of the request: what has not ended has ended with it. */
  readonly endedAtMs: number;
}

function addWait(step: Step<"waited">, { add, epochMs, endedAtMs }: Drawing): void {
  const wait = add({
    name: "queue wait",
    startedAtMs: epochMs(step.atMs),
    endedAtMs: step.endedAtMs === null ? endedAtMs : epochMs(step.endedAtMs),
    attributes: {
      "cortex.queue.waiting": step.waiting,
      ...(step.position === null ? {} : { "cortex.queue.position": step.position }),
      ...(step.outcome === null ? {} : { "cortex.outcome": step.outcome }),
    },
    errorCode: step.code ?? undefined,
  });
  for (const load of step.loads) {
    add({
      name: "cold load",
      parent: wait,
      startedAtMs: epochMs(load.startedAtMs),
      endedAtMs: load.endedAtMs === null ? endedAtMs : epochMs(load.endedAtMs),
      attributes: loadAttributes(load),
      errorCode: load.outcome === null || load.outcome === "loaded" ? undefined : load.outcome,
    });
  }
}

const loadAttributes = ({ modelId, neuron, joined, evict }: LoadSeen): DrawnSpan["attributes"] => ({
  "cortex.model": modelId,
  "cortex.neuron": neuron,
  "cortex.load.joined": joined,
  ...(evict.length === 0 ? {} : { "cortex.load.evicts": evict.join(" ") }),
});

function addAttempt(
  step: Step<"sent">,
  of: { readonly record: RequestRecord; readonly spanId: string | null },
  { add, epochMs, endedAtMs }: Drawing,
): void {
  const { firstContentMs, startedAtMs } = of.record;
  const endsAtMs = step.endedAtMs === null ? endedAtMs : epochMs(step.endedAtMs);
  const attempt = add({
    name: "attempt",
    kind: "client",
    spanId: of.spanId,
    startedAtMs: epochMs(step.atMs),
    endedAtMs: endsAtMs,
    attributes: {
      "cortex.neuron": step.neuron,
      ...(step.outcome === null ? {} : { "cortex.outcome": step.outcome }),
    },
    errorCode: step.code ?? undefined,
  });
  if (firstContentMs === undefined) return;
  // An answer that has begun goes nowhere else: the first token is the last attempt's.
  const firstAtMs = epochMs(startedAtMs + firstContentMs);
  if (firstAtMs < epochMs(step.atMs) || firstAtMs > endsAtMs) return;
  add({ name: "first token", parent: attempt, startedAtMs: epochMs(step.atMs), endedAtMs: firstAtMs });
  add({ name: "stream", parent: attempt, startedAtMs: firstAtMs, endedAtMs: endsAtMs });
}

function wholeAttributes(record: RequestRecord): DrawnSpan["attributes"] {
  const { usage } = record;
  return {
    "http.request.method": "POST",
    "http.route": record.route,
    "cortex.request_id": record.requestId,
    "cortex.key": record.key,
    "cortex.stream": record.stream,
    "cortex.cold_start": record.coldStart,
    "cortex.retries": record.retries,
    ...(record.status === undefined ? {} : { "http.response.status_code": record.status }),
    ...(record.modelId === undefined ? {} : { "gen_ai.request.model": record.modelId }),
    ...(usage === undefined
      ? {}
      : {
          "gen_ai.usage.input_tokens": usage.promptTokens,
          "gen_ai.usage.output_tokens": usage.completionTokens,
        }),
  };
}
