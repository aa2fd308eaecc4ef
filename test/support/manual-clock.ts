import type { Clock } from "../../src/core/clock.ts";

interface Sleeper {
  readonly wakeAtMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it; every sleeper due by then wakes, in order. */
export class ManualClock implements Clock {
  #elapsedMs = 0;
  readonly #startMs: number;
  #sleepers: Sleeper[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        wakeAtMs: this.#elapsedMs + durationMs,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  alarm(durationMs: number, ring: () => void): () => void {
    const sleeper: Sleeper = { wakeAtMs: this.#elapsedMs + durationMs, wake: ring };
    this.#sleepers.push(sleeper);
    return () => {
      this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    };
  }

  /** How many sleeps and alarms are pending: lets a test wait until the code under test has reached its sleep. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves time forward, waking sleepers in the order they are due and letting each run before the next. */
  async advance(durationMs: number): Promise<void> {
    const targetMs = this.#elapsedMs + durationMs;
    for (;;) {
      const due = this.#sleepers.filter((sleeper) => sleeper.wakeAtMs <= targetMs);
      due.sort((left, right) => left.wakeAtMs - right.wakeAtMs);
      const next = due[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.wakeAtMs);
      next.wake();
      await settle();
    }
    this.#elapsedMs = targetMs;
    await settle();
  }
}

/** Lets everything that is ready to run do so: one turn of the event loop, microtasks included. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
