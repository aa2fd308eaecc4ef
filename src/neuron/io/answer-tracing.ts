import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../../core/clock.ts";
import type { DrawnSpan, SpanRoot } from "../../core/drawn-span.ts";
import { withinGrace } from "../../core/interruptible-sleep.ts";
import type { AnswerTimings } from "../../protocol/headers/timings-header.ts";
import { formatTraceparent, parseTraceparent } from "../../protocol/headers/trace-context.ts";
import { drawAnswerSpans } from "../answer-spans.ts";

export interface SpanSink {
  send(spans: readonly DrawnSpan[], root: SpanRoot): void;
  close(): Promise<void>;
}

/** One request that is traced, as it goes on. */
export interface TracedRelay {
  /** The headers by which the worker's part hangs on the trace. */
  sent(): Readonly<Record<string, string>>;
  /** As the worker tells. */
  timings: AnswerTimings | undefined;
  ended(outcome: string): void;
}

const LAST_SPANS_MS = 2000;
const newSpanId = (): string => randomBytes(8).toString("hex");

/** The exporter and its packages are loaded where a collector is named, and only there. */
export async function openAnswerTracing(
  wish: { readonly url?: string } | undefined,
  { clock, packageVersion }: { readonly clock: Clock; readonly packageVersion: string },
): Promise<AnswerTracing | null> {
  if (wish === undefined) return null;
  const { createSpanExporter } = await import("../../platform/span-exporter.ts");
  const sink = createSpanExporter({ url: wish.url, serviceName: "cortex-neuron", packageVersion });
  return new AnswerTracing(sink, clock);
}

/** Draws a neuron's part of those requests that whoever sent them traces; it begins no trace of its own. */
export class AnswerTracing {
  readonly #sink: SpanSink;
  readonly #clock: Clock;

  constructor(sink: SpanSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Null for a request that is in no trace: it then costs nothing more. */
  begin(
    headers: IncomingHttpHeaders,
    { route, modelId }: { readonly route: string; readonly modelId: string },
  ): TracedRelay | null {
    const parent = parseTraceparent(headers["traceparent"]);
    if (parent?.sampled !== true) return null;
    const { traceId, spanId: parentSpanId } = parent;
    const [spanId, workerSpanId] = [newSpanId(), newSpanId()];
    const clock = this.#clock;
    const arrivedAtMs = clock.monotonicMs();
    const epochMs = (monotonicMs: number) => clock.nowMs() + (monotonicMs - clock.monotonicMs());
    let sentAtMs: number | null = null;
    const traced: TracedRelay = {
      timings: undefined,
      sent: () => {
        sentAtMs = clock.monotonicMs();
        return { traceparent: formatTraceparent({ traceId, spanId: workerSpanId, sampled: true }) };
      },
      ended: (outcome) => {
        const { timings } = traced;
        const endedAtMs = clock.monotonicMs();
        const times = { arrivedAtMs, sentAtMs, endedAtMs, timings };
        const spans = drawAnswerSpans({ route, modelId, spanId, workerSpanId, outcome, ...times }, epochMs);
        this.#sink.send(spans, { traceId, parentSpanId });
      },
    };
    return traced;
  }

  /** What is left is sent; a collector that is away is not waited for. */
  async close(): Promise<void> {
    await withinGrace(this.#sink.close(), { clock: this.#clock, graceMs: LAST_SPANS_MS });
  }
}
