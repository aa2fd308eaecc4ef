/** From which numbers of threads the engine chooses while it computes (`thread-choice.ts`). */
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
/** Up to here a trial of a single thread takes little. */
const FEW_CORES = 4;

/** What is computed before anything was tried, and by contexts whose steps nobody watches: a core is left over. */
export function carefulThreads(input: ThreadsInput): number {
  if (input.requested !== undefined) return input.requested;
  const spare = Math.max(1, input.mathCores - 1);
  return Math.min(spare, input.fullyOffloaded ? THREADS_TO_FEED_A_GPU : MOST_THREADS);
}

/**
 * The numbers of threads to try, the fewest first. With many cores the trial of a single one would hold a large
 * model up for seconds a token, so it starts at half of them.
 */
export function threadCandidates(input: ThreadsInput): readonly number[] {
  const careful = carefulThreads(input);
  if (input.requested !== undefined || input.fullyOffloaded) return [careful];
  const all = Math.max(1, Math.min(input.mathCores, MOST_THREADS));
  const fewest = input.mathCores <= FEW_CORES ? 1 : Math.ceil(all / 2);
  return [...new Set([fewest, careful, all])].toSorted((a, b) => a - b);
}

/** Processes that wait for a core, this worker and its clients among them, before the machine counts as busy. */
const OWN_LOAD = 0.5;

/** On a busy machine a trial of more threads costs the request that it is made on up to seconds. */
export const isQuiet = (load: number, mathCores: number): boolean => load < mathCores + OWN_LOAD;
