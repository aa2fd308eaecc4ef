import type { Clock } from "./clock.ts";

/** Sleeps; true when the time has passed, false when the signal aborted first. Never rejects. */
export async function sleptThrough(clock: Clock, durationMs: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(durationMs, signal);
    return !signal.aborted;
  } catch {
    return false;
  }
}

/** Waits for work, but no longer than the grace period. */
export async function withinGrace(
  work: Promise<unknown>,
  { clock, graceMs }: { readonly clock: Clock; readonly graceMs: number },
): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleptThrough(clock, graceMs, timer.signal)]);
  timer.abort();
}
