import type { Clock } from "../../core/clock.ts";

/**
 * Who has this worker: the neuron that started it, over the channel between the processes, or a later one that holds a
 * connection. A worker that nobody has lives on for the grace period, for the next neuron to find it, and then goes.
 */
export class Guardians {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #onAbandoned: () => void;
  #count = 0;
  #cancel: () => void = () => undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly graceMs: number;
    readonly onAbandoned: () => void;
  }) {
    this.#clock = options.clock;
    this.#graceMs = options.graceMs;
    this.#onAbandoned = options.onAbandoned;
  }

  /** Somebody has it, until the returned function is called. */
  add(): () => void {
    this.#count += 1;
    this.#cancel();
    let gone = false;
    return () => {
      if (gone) return;
      gone = true;
      this.#count -= 1;
      if (this.#count === 0) this.#cancel = this.#clock.alarm(this.#graceMs, this.#onAbandoned);
    };
  }
}
