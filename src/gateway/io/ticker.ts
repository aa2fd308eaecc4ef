import type { Clock } from "../../core/clock.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import { Roster } from "../../core/roster.ts";

export type Look = (nowMs: number) => void;

/** One timer for all that is looked at every now and then: a timer for each byte of each stream would cost more than it. */
export class Ticker {
  readonly #clock: Clock;
  readonly #periodMs: () => number;
  readonly #looks = new Roster<Look>();
  readonly #closed = new AbortController();

  constructor(clock: Clock, periodMs: () => number) {
    this.#clock = clock;
    this.#periodMs = periodMs;
  }

  /** Looks until the returned function is called. */
  readonly watch = (look: Look): (() => void) => {
    const seat = this.#looks.add(look);
    return () => {
      this.#looks.remove(seat);
    };
  };

  async run(): Promise<void> {
    while (await sleptThrough(this.#clock, this.#periodMs(), this.#closed.signal)) {
      const nowMs = this.#clock.monotonicMs();
      this.#looks.forEach((look) => {
        look(nowMs);
      });
    }
  }

  close(): void {
    this.#closed.abort(new Error("the gateway stops"));
  }
}
