/**
 * Threads. Measured on two cores: decoding with as many threads as cores is up to 27 times
 * slower than with one, since ggml's threads spin against each other and against the thread that runs this
 * process. So one core is always left to the process, and on two cores decoding has one thread.
 */
export interface ThreadsInput {
  /** Cores that are useful for arithmetic. */
  readonly mathCores: number;
  /** The operator's choice, which always wins. */
  readonly requested: number | undefined;
  /** Every layer is on the GPU: the CPU only feeds it. */
  readonly fullyOffloaded: boolean;
}

/** More threads than this wait for memory, not for arithmetic. */
const MOST_THREADS = 16;
const THREADS_TO_FEED_A_GPU = 4;

export function decodeThreads(input: ThreadsInput): number {
  if (input.requested !== undefined) return input.requested;
  const spare = Math.max(1, input.mathCores - 1);
  return Math.min(spare, input.fullyOffloaded ? THREADS_TO_FEED_A_GPU : MOST_THREADS);
}
