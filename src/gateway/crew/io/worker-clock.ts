import type { Clock } from "../../../core/clock.ts";
import { clockOriginMs } from "./clock-origin.ts";

/** The clock of a worker, whose monotonic time is its owner's: what the owner tells of times is so by it. */
export function clockOfOwner(clock: Clock, ownersOriginMs: number): Clock {
  const aheadMs = clockOriginMs(clock) - ownersOriginMs;
  return { ...clock, monotonicMs: () => clock.monotonicMs() + aheadMs };
}
