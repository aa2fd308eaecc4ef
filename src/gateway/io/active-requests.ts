import type { CortexError } from "../../core/errors.ts";

/** One open request; `stop` ends it with an error that its client can read. */
export interface ActiveRequest {
  stop(error: CortexError): void;
}

/** Every open request of the gateway, and how many are at which replica. */
export class ActiveRequests {
  readonly #open = new Set<ActiveRequest>();
  readonly #atNeuron = new Map<string, Map<string, number>>();
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

  /** Counts a request at a replica until the returned function is called. */
  occupy(neuron: string, modelId: string): () => void {
    const models = this.#atNeuron.get(neuron) ?? new Map<string, number>();
    this.#atNeuron.set(neuron, models);
    models.set(modelId, (models.get(modelId) ?? 0) + 1);
    return () => {
      const left = (models.get(modelId) ?? 1) - 1;
      if (left > 0) models.set(modelId, left);
      else models.delete(modelId);
    };
  }

  outstanding(neuron: string, modelId: string): number {
    return this.#atNeuron.get(neuron)?.get(modelId) ?? 0;
  }

  outstandingAt(neuron: string): ReadonlyMap<string, number> {
    return this.#atNeuron.get(neuron) ?? new Map();
  }
}
