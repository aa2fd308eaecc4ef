import type { Cancellation } from "../../core/cancellation.ts";
import type { CortexError } from "../../core/errors.ts";
import { Roster } from "../../core/roster.ts";

/** Every open request of the gateway: what cancels it with an error that its client can read. */
export class ActiveRequests {
  readonly #open = new Roster<Cancellation>();
  #onIdle: (() => void)[] = [];

  /** Until the returned function is called. */
  add(request: Cancellation): () => void {
    const seat = this.#open.add(request);
    return () => {
      this.#open.remove(seat);
      if (this.#open.size === 0) this.#tellIdle();
    };
  }

  #tellIdle(): void {
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  }

  get size(): number {
    return this.#open.size;
  }

  idle(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  stopAll(error: CortexError): void {
    this.#open.forEach((request) => {
      request.cancel(error);
    });
  }
}
