import type { Clock } from "../../src/core/clock.ts";

/** A clock whose sleeps end at once and move time by as much: for real HTTP where only the waiting is not of interest. */
export class HurriedClock implements Clock {
  #elapsedMs = 0;

  nowMs(): number {
    return 1_000 + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#elapsedMs += durationMs;
    // One turn of the event loop, so that sockets are served.
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  }

  /** Never rings: what is asked of others takes its own time here, and sleeps move the clock faster than sockets are. */
  alarm(): () => void {
    return () => undefined;
  }
}
