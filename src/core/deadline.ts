import type { Clock } from "./clock.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** What the work's signal aborts with at the deadline, where somebody reads it. */
  readonly timedOut?: () => Error;
  /** Ends the work early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs work with a signal that aborts at the deadline or with the caller's. Listeners are taken off again: a
 * long-lived signal would otherwise collect one for every call ever made.
 */
export async function withDeadline<Value>(
  options: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const { clock, timeoutMs, timedOut, signal } = options;
  signal?.throwIfAborted();
  const cut = new AbortController();
  const onAbort = () => {
    cut.abort(signal?.reason);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  const cancelAlarm = clock.alarm(timeoutMs, () => {
    cut.abort(timedOut?.());
  });
  try {
    return await work(cut.signal);
  } finally {
    cancelAlarm();
    signal?.removeEventListener("abort", onAbort);
  }
}
