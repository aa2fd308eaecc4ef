import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { applyNeuronEvent, type NeuronObservation } from "../../../protocol/neuron-events.ts";
import { reconnectDelayMs } from "../reconnect-delay.ts";

export interface EventFollowerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly client: NeuronClient;
  readonly signal: AbortSignal;
  /** Told of each state that the events add up to. */
  readonly onObservation: (seen: NeuronObservation) => void;
  /** The stream broke: what it told grows old from now on. */
  readonly onBroken: () => void;
}

/** One neuron's events, followed over every break; while none flow, `lastEventId` is undefined. */
export class EventFollower {
  readonly #deps: EventFollowerDeps;
  #seen: NeuronObservation | null = null;
  #lastId: string | undefined;
  #isLive = false;

  constructor(deps: EventFollowerDeps) {
    this.#deps = deps;
  }

  /** The event that is known last, while events flow. */
  get lastEventId(): string | undefined {
    return this.#isLive ? this.#lastId : undefined;
  }

  /** Follows until the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { clock, signal, client, logger, onBroken } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      let problem = "route_not_found";
      try {
        await this.#followOnce(() => {
          failures = 0;
        });
      } catch (thrown) {
        const error = toCortexError(thrown);
        problem = error.code;
        if (!signal.aborted) logger.debug({ neuron: client.name, problem: error.message }, "no events");
      }
      failures += 1;
      const wasLive = this.#isLive;
      this.#isLive = false;
      if (wasLive && !signal.aborted) onBroken();
      await sleptThrough(clock, reconnectDelayMs(failures, problem), signal);
    }
  }

  async #followOnce(onEvents: () => void): Promise<void> {
    const { client, signal, onObservation } = this.#deps;
    for await (const events of client.events({ lastEventId: this.#lastId, signal })) {
      for (const { id, event } of events) {
        this.#seen = applyNeuronEvent(this.#seen, event);
        this.#lastId = id;
      }
      if (this.#seen === null) continue;
      onEvents();
      this.#isLive = true;
      onObservation(this.#seen);
    }
  }
}
