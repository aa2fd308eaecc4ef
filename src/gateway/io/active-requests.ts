import type { CortexError } from "../../core/errors.ts";
import { Roster } from "../../core/roster.ts";

/** One open request; `stop` ends it with an error that its client can read. */
export interface ActiveRequest {
  stop(error: CortexError): void;
}

/** Every open request of the gateway. */
export class ActiveRequests {
  readonly #open = new Roster<ActiveRequest>();
  #onIdle: (() => void)[] = [];

  /** Until the returned function is called. */
  add(request: ActiveRequest): () => void {
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
      request.stop(error);
    });
  }
}
