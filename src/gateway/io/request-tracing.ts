import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { withinGrace } from "../../core/interruptible-sleep.ts";
import type { HeaderBag } from "../relay/header-policy.ts";
import type { RequestRecord } from "../request-record.ts";
import type { DrawnSpan, SpanRoot } from "../../core/drawn-span.ts";
import { formatTraceparent, isSampledBy, parseTraceparent } from "../../protocol/headers/trace-context.ts";
import { drawSpans } from "../request-spans.ts";

/** Where the spans of requests that have ended go. */
export interface SpanSink {
  send(spans: readonly DrawnSpan[], root: SpanRoot): void;
  close(): Promise<void>;
}

/** Traces one request; none where it is in no trace, whose headers then pass as they came. */
export interface TracedRequest {
  /** The headers by which the neuron's part of the trace hangs on this attempt. */
  beginAttempt(): Readonly<Record<string, string>>;
  ended(record: RequestRecord): void;
}

const LAST_SPANS_MS = 2000;

const newSpanId = (): string => randomBytes(8).toString("hex");

/** Whether requests are traced is their client's to say; of those that say nothing, a part is. */
export class RequestTracing {
  readonly #sink: SpanSink;
  readonly #ratio: number;

  readonly #clock: Clock;

  constructor(sink: SpanSink, options: { readonly ratio: number; readonly clock: Clock }) {
    this.#sink = sink;
    this.#ratio = options.ratio;
    this.#clock = options.clock;
  }

  begin(headers: HeaderBag, headAtMs: number): TracedRequest | null {
    const parent = parseTraceparent(headers["traceparent"]);
    const traceId = parent?.traceId ?? randomBytes(16).toString("hex");
    if (!(parent?.sampled ?? isSampledBy(traceId, this.#ratio))) return null;
    const attemptSpanIds: string[] = [];
    const context = { traceId, spanId: newSpanId(), sampled: true };
    const trace = { context, parentSpanId: parent?.spanId, headAtMs, attemptSpanIds };
    return {
      beginAttempt: () => {
        const spanId = newSpanId();
        attemptSpanIds.push(spanId);
        return { traceparent: formatTraceparent({ traceId, spanId, sampled: true }) };
      },
      ended: (record) => {
        this.#sink.send(drawSpans(record, trace), { traceId, parentSpanId: parent?.spanId });
      },
    };
  }

  /** What is left is sent; a collector that is away is not waited for. */
  async close(): Promise<void> {
    await withinGrace(this.#sink.close(), { clock: this.#clock, graceMs: LAST_SPANS_MS });
  }
}
