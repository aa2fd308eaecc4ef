/** https://www.w3.org/TR/trace-context/: where a request stands in a trace. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for what is none: the request begins a trace then, as the specification has it. */
export function parseTraceparent(value: unknown): TraceContext | undefined {
  if (typeof value !== "string") return undefined;
  const [, traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(value) ?? [];
  const isNothing = traceId === "" || /^0+$/.test(traceId) || /^0+$/.test(spanId);
  // Only later versions may say more.
  if (isNothing || (more !== undefined && value.startsWith("00"))) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;

/** By the trace's id alone, so that all who see it decide alike. */
export const isSampledBy = (traceId: string, ratio: number): boolean =>
  Number.parseInt(traceId.slice(-8), 16) < ratio * 2 ** 32;
