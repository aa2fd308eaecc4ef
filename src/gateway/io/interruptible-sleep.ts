import type { Clock } from "../../core/clock.ts";

/** Sleeps; true when the time has passed, false when the signal aborted first. Never rejects. */
export async function sleptThrough(clock: Clock, durationMs: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(durationMs, signal);
    return !signal.aborted;
  } catch {
    return false;
  }
}
