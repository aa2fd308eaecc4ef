import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../core/clock.ts";

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (durationMs, signal) => {
    await delay(durationMs, undefined, signal === undefined ? {} : { signal });
  },
  alarm: (durationMs, ring) => {
    const timer = setTimeout(ring, durationMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
