import type { CortexError } from "../../core/errors.ts";

/** One open request; `stop` ends it with an error that its client can read. */
export interface ActiveRequest {
  stop(error: CortexError): void;
}

/** Every open request of the gateway. */
export class ActiveRequests {
  readonly #open = new Set<ActiveRequest>();
  #onIdle: (() => void)[] = [];

  add(request: ActiveRequest): void {
    this.#open.add(request);
  }

  remove(request: ActiveRequest): void {
    this.#open.delete(request);
    if (this.#open.size > 0) return;
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
    for (const request of this.#open) request.stop(error);
  }
}
