/** Whether a span is the answer to somebody, a question to somebody, or neither. */
export type SpanKindName = "server" | "client" | "internal";

/** A span of a trace as it is drawn when all is over. Times are milliseconds since the epoch. */
export interface DrawnSpan {
  readonly name: string;
  readonly kind: SpanKindName;
  /** Null: whichever. */
  readonly spanId: string | null;
  /** Index of its parent in the list; null for the span of the request as a whole. */
  readonly parent: number | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Of one that failed. */
  readonly errorCode: string | undefined;
}

/** Where drawn spans belong. */
export interface SpanRoot {
  readonly traceId: string;
  /** Of whoever sent the request. */
  readonly parentSpanId: string | undefined;
}
