import type { Clock } from "./clock.ts";
import { CortexError } from "./errors.ts";
import { sleptThrough } from "./interruptible-sleep.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Ends the work early. */
  readonly signal: AbortSignal;
  /** Who is waited for, for the message. */
  readonly who: string;
}

/**
 * Runs work with a signal that aborts at the deadline or with the caller's. Listeners are taken off again: a
 * long-lived signal would otherwise collect one for every call ever made.
 */
export async function withDeadline<Value>(
  options: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const { clock, timeoutMs, signal, who } = options;
  signal.throwIfAborted();
  const cut = new AbortController();
  const timer = new AbortController();
  const onAbort = () => {
    cut.abort(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const watchDeadline = async () => {
    if (!(await sleptThrough(clock, timeoutMs, timer.signal))) return;
    cut.abort(new CortexError("upstream_connection_error", `${who} did not answer within ${timeoutMs} ms`));
  };
  void watchDeadline();
  try {
    return await work(cut.signal);
  } finally {
    timer.abort();
    signal.removeEventListener("abort", onAbort);
  }
}
