import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { FleetIndex } from "../fleet-index.ts";
import {
  applyFleetEvent,
  initialFleetView,
  needsDiscovery,
  type FleetEvent,
  type FleetView,
} from "../fleet-view.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { isOlderThanEvent, type NeuronObservation } from "../../../protocol/neuron-events.ts";
import { neuronProblem } from "../../../protocol/neuron-failure.ts";
import { EventFollower } from "./event-follower.ts";

export interface NeuronPollerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly pollIntervalMs: number;
  /** Requests this gateway has open at a neuron, per model. */
  readonly outstandingAt: (neuron: string) => ReadonlyMap<string, number>;
}

/** While a neuron tells of its changes, every tenth poll is still made: nothing is believed without a second source. */
const POLLS_LEFT_OUT = 9;

export interface NeuronPoller {
  /** What is known now. */
  view(): FleetView;
  /** Asks one neuron afresh; true when it answered. Never rejects. */
  refresh(neuron: string): Promise<boolean>;
}

export interface RunningPolls {
  /** Resolves when every neuron has answered or missed once. */
  readonly firstPolls: Promise<unknown>;
  /** Ends polling; what is under way is given up and changes nothing any more. */
  close(): void;
}

/** Knows nothing yet and asks nobody, until it is started or a neuron is refreshed. */
export const createNeuronPoller = (deps: NeuronPollerDeps): StartablePoller => new NeuronPolls(deps);

export interface StartablePoller extends NeuronPoller {
  /** Begins to poll. */
  start(): RunningPolls;
}

class NeuronPolls implements StartablePoller {
  readonly #deps: NeuronPollerDeps;
  readonly #closed = new AbortController();
  readonly #polls: ReadonlyMap<string, () => Promise<boolean>>;
  readonly #followers: ReadonlyMap<string, EventFollower>;
  #view: FleetView;

  constructor(deps: NeuronPollerDeps) {
    this.#deps = deps;
    this.#view = initialFleetView(deps.fleet.neurons.map((neuron) => neuron.name));
    this.#polls = new Map(
      [...deps.neurons].map(([name, client]) => [name, serialised(() => this.#pollOnce(client))]),
    );
    this.#followers = new Map([...deps.neurons].map(([name, client]) => [name, this.#followerOf(client)]));
  }

  view(): FleetView {
    return this.#view;
  }

  async refresh(name: string): Promise<boolean> {
    return (await this.#polls.get(name)?.()) ?? false;
  }

  /**
   * Follows the events of every neuron, and polls it where there are none. Each on its own: a slow or dead one delays
   * no other. Polls of one neuron never overlap, and one that is older than the last event is left out, so an old
   * answer cannot overwrite a newer one.
   */
  start(): RunningPolls {
    const firstPolls = [...this.#polls.keys()].map(async (name) => {
      await this.refresh(name);
      void this.#follow(name);
      void this.#followers.get(name)?.run();
    });
    return {
      firstPolls: Promise.all(firstPolls),
      close: () => {
        this.#closed.abort(new Error("the gateway stops"));
      },
    };
  }

  async #follow(name: string): Promise<void> {
    const { clock, pollIntervalMs } = this.#deps;
    let leftOut = 0;
    while (await sleptThrough(clock, pollIntervalMs, this.#closed.signal)) {
      // One that has missed a poll is asked each time: events that do not come say nothing.
      const isDoubted = (this.#view.neurons.get(name)?.misses ?? 0) > 0;
      const told = !isDoubted && this.#followers.get(name)?.lastEventId !== undefined;
      leftOut = told && leftOut < POLLS_LEFT_OUT ? leftOut + 1 : 0;
      if (leftOut === 0) await this.refresh(name);
    }
  }

  #followerOf(client: NeuronClient): EventFollower {
    const { clock, logger } = this.#deps;
    return new EventFollower({
      clock,
      logger,
      client,
      signal: this.#closed.signal,
      onObservation: (seen) => {
        if (!this.#closed.signal.aborted) this.#apply(this.#observed(client.name, seen));
      },
      onBroken: () => {
        void this.refresh(client.name);
      },
    });
  }

  #observed(neuron: string, { discovery, health, models, generation }: NeuronObservation): FleetEvent {
    const outstanding = new Map(this.#deps.outstandingAt(neuron));
    const atMs = this.#deps.clock.nowMs();
    const answer = { generation, models: [...models] };
    return { kind: "neuron-answered", neuron, atMs, discovery, health, models: answer, outstanding };
  }

  async #pollOnce(client: NeuronClient): Promise<boolean> {
    const event = await ask(client, this.#deps, { view: this.#view, signal: this.#closed.signal });
    if (this.#closed.signal.aborted) return event.kind === "neuron-answered";
    if (event.kind !== "neuron-answered") {
      this.#apply(event);
      return false;
    }
    const known = this.#followers.get(client.name)?.lastEventId;
    const isOld = [event.health, event.models].some((told) => isOlderThanEvent(told.event_id, known));
    if (!isOld) this.#apply(event);
    return true;
  }

  #apply(event: FleetEvent): void {
    const before = this.#view.neurons.get(event.neuron)?.health;
    this.#view = applyFleetEvent(this.#view, event);
    const after = this.#view.neurons.get(event.neuron);
    if (after === undefined || after.health === before) return;
    const { logger } = this.#deps;
    const fields = { neuron: event.neuron, health: after.health, problem: after.problem };
    if (after.health === "healthy") logger.info(fields, "neuron answers");
    else logger.warn(fields, "neuron does not answer");
  }
}

async function ask(
  client: NeuronClient,
  deps: NeuronPollerDeps,
  context: { readonly view: FleetView; readonly signal: AbortSignal },
): Promise<FleetEvent> {
  const { signal } = context;
  // Read before the question: what begins while it is on its way is then counted twice at worst, never lost.
  const outstanding = new Map(deps.outstandingAt(client.name));
  const before = context.view.neurons.get(client.name);
  try {
    const [health, models] = await Promise.all([client.health(signal), client.models(signal)]);
    const asksDiscovery = before === undefined || needsDiscovery(before, health.uptime_secs);
    const discovery = asksDiscovery ? await client.discovery(signal) : null;
    const atMs = deps.clock.nowMs();
    return { kind: "neuron-answered", neuron: client.name, atMs, discovery, health, models, outstanding };
  } catch (thrown) {
    const error = toCortexError(thrown);
    const problem = neuronProblem(error) ?? error.message;
    return { kind: "neuron-missed", neuron: client.name, problem };
  }
}

/**
 * Runs never overlap. A caller that comes during a run gets the next one, since the present one may have read what
 * the caller knows to be outdated; all such callers share it.
 */
function serialised<Value>(run: () => Promise<Value>): () => Promise<Value> {
  let current: Promise<Value> | undefined;
  let next: Promise<Value> | undefined;
  const start = (): Promise<Value> => {
    next = undefined;
    const started = run();
    current = started;
    const clear = () => {
      if (current === started) current = undefined;
    };
    started.then(clear, clear);
    return started;
  };
  return () => {
    if (current === undefined) return start();
    next ??= current.then(start, start);
    return next;
  };
}
