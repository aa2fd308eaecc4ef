/**
 * Where the time of an answer went, from a worker to its neuron: beside the answer like the usage, and only for requests
 * that are traced.
 */
export const TIMINGS_HEADER = "cortex-timings";

export interface AnswerTimings {
  /** From the arrival until the prompt was begun. */
  readonly queueMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
}

const SHAPE = /^queue=([\d.]{1,15}), prefill=([\d.]{1,15}), decode=([\d.]{1,15})$/;

/** `queue=1.5, prefill=20.1, decode=310.0`, in milliseconds. */
export const formatTimings = ({ queueMs, prefillMs, decodeMs }: AnswerTimings): string =>
  `queue=${queueMs.toFixed(1)}, prefill=${prefillMs.toFixed(1)}, decode=${decodeMs.toFixed(1)}`;

/** Undefined for what is none. */
export function parseTimings(text: unknown): AnswerTimings | undefined {
  const [, queue, prefill, decode] = (typeof text === "string" ? SHAPE.exec(text) : null) ?? [];
  const [queueMs, prefillMs, decodeMs] = [Number(queue), Number(prefill), Number(decode)];
  return [queueMs, prefillMs, decodeMs].every(Number.isFinite) ? { queueMs, prefillMs, decodeMs } : undefined;
}
