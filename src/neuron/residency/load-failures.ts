import { CortexError, type ErrorCode } from "../../core/errors.ts";

/**
 * What could not be loaded, by spec hash: the same model in the same settings fails the same way until somebody mends
 * it. A request that asks again is told so and when the next try is due; a person or an apply may try at once, since
 * they may have mended it.
 */
export type LoadFailures = ReadonlyMap<string, FailedLoad>;

export interface FailedLoad {
  readonly failure: CortexError;
  /** In a row. */
  readonly times: number;
  readonly atMs: number;
  readonly retryAtMs: number;
}

const FIRST_BACK_OFF_MS = 10_000;
const LONGEST_BACK_OFF_MS = 300_000;
const KEPT_FAILURES = 100;

/** Ends that say nothing about the model: somebody else's wish, or memory that others held. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["job_cancelled", "draining", "model_busy"]);

export function rememberFailure(
  failures: LoadFailures,
  specHash: string,
  failed: { readonly failure: CortexError; readonly atMs: number },
): LoadFailures {
  const { failure, atMs } = failed;
  if (PASSING.has(failure.code)) return failures;
  const times = (failures.get(specHash)?.times ?? 0) + 1;
  const backOffMs = Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (times - 1));
  const next = new Map(failures);
  next.delete(specHash);
  next.set(specHash, { failure, times, atMs, retryAtMs: atMs + backOffMs });
  for (const oldest of [...next.keys()].slice(0, Math.max(0, next.size - KEPT_FAILURES))) next.delete(oldest);
  return next;
}

export function forgetFailure(failures: LoadFailures, specHash: string): LoadFailures {
  if (!failures.has(specHash)) return failures;
  const next = new Map(failures);
  next.delete(specHash);
  return next;
}

/** Why the same spec is not tried again yet; null when it may be. */
export function failureStillFresh(
  failures: LoadFailures,
  specHash: string,
  atMs: number,
): CortexError | null {
  const failed = failures.get(specHash);
  if (failed === undefined || atMs >= failed.retryAtMs) return null;
  const { failure, times } = failed;
  const waitSecs = Math.ceil((failed.retryAtMs - atMs) / 1000);
  const tries = times === 1 ? "the last try failed" : `the last ${times} tries failed`;
  const isNever = failure.isFinal || failure.code === "no_feasible_neuron";
  const when = isNever ? tries : `${tries}; the next is due in ${waitSecs} s`;
  return new CortexError(failure.code, `${failure.message} (${when})`, {
    details: { ...failure.details, failed_tries: times, retry_at_ms: failed.retryAtMs },
    next: failure.next,
    // What can never be held is not cured by waiting.
    retryAfterSecs: isNever ? null : waitSecs,
    ...(failure.param === undefined ? {} : { param: failure.param }),
  });
}
