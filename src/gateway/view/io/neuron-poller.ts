import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { FleetIndex } from "../fleet-index.ts";
import {
  applyFleetEvent,
  initialFleetView,
  needsDiscovery,
  withNeurons,
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
  /** Calls the listener with every view that differs from the one before. */
  onChange(listener: (view: FleetView) => void): void;
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
  /** From now on these neurons are asked; a client that was there before goes on being asked. */
  follow(clients: Iterable<NeuronClient>): void;
}

/** One neuron that is asked, until it is let go of. */
interface Followed {
  readonly client: NeuronClient;
  readonly poll: () => Promise<boolean>;
  readonly follower: EventFollower;
  readonly stop: AbortController;
}

class NeuronPolls implements StartablePoller {
  readonly #deps: NeuronPollerDeps;
  readonly #followed = new Map<string, Followed>();
  #isRunning = false;
  readonly #listeners: ((view: FleetView) => void)[] = [];
  #view: FleetView;

  constructor(deps: NeuronPollerDeps) {
    this.#deps = deps;
    this.#view = initialFleetView([]);
    this.follow(deps.neurons.values());
  }

  view(): FleetView {
    return this.#view;
  }

  onChange(listener: (view: FleetView) => void): void {
    this.#listeners.push(listener);
  }

  #show(view: FleetView): void {
    this.#view = view;
    for (const listener of this.#listeners) listener(view);
  }

  async refresh(name: string): Promise<boolean> {
    return (await this.#followed.get(name)?.poll()) ?? false;
  }

  follow(clients: Iterable<NeuronClient>): void {
    const wanted = new Map([...clients].map((client) => [client.name, client]));
    for (const [name, { client, stop }] of this.#followed) {
      if (wanted.get(name) === client) continue;
      stop.abort(new Error("the neuron is declared no more, or elsewhere"));
      this.#followed.delete(name);
      // What stands at another address is another neuron until it has answered.
      this.#show(withNeurons(this.#view, [...this.#followed.keys()]));
    }
    const added = [...wanted.values()].filter(({ name }) => !this.#followed.has(name));
    for (const client of added) this.#followed.set(client.name, this.#followedOf(client));
    const names = this.#deps.fleet.neurons.map(({ name }) => name).filter((name) => wanted.has(name));
    this.#show(withNeurons(this.#view, names));
    if (this.#isRunning) for (const { name } of added) void this.#begin(name);
  }

  /**
   * Follows the events of every neuron, and polls it where there are none. Each on its own: a slow or dead one delays
   * no other. Polls of one neuron never overlap, and one that is older than the last event is left out, so an old
   * answer cannot overwrite a newer one.
   */
  start(): RunningPolls {
    this.#isRunning = true;
    return {
      firstPolls: Promise.all([...this.#followed.keys()].map((name) => this.#begin(name))),
      close: () => {
        this.#isRunning = false;
        for (const { stop } of this.#followed.values()) stop.abort(new Error("the gateway stops"));
      },
    };
  }

  /** Resolves after the first poll. */
  async #begin(name: string): Promise<void> {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    await followed.poll();
    void this.#poll(followed);
    void followed.follower.run();
  }

  async #poll({ client, poll, follower, stop }: Followed): Promise<void> {
    const { clock, pollIntervalMs } = this.#deps;
    let leftOut = 0;
    while (await sleptThrough(clock, pollIntervalMs, stop.signal)) {
      // One that has missed a poll is asked each time: events that do not come say nothing.
      const isDoubted = (this.#view.neurons.get(client.name)?.misses ?? 0) > 0;
      const told = !isDoubted && follower.lastEventId !== undefined;
      leftOut = told && leftOut < POLLS_LEFT_OUT ? leftOut + 1 : 0;
      if (leftOut === 0) await poll();
    }
  }

  #followedOf(client: NeuronClient): Followed {
    const { clock, logger } = this.#deps;
    const stop = new AbortController();
    const { signal } = stop;
    const poll = serialised(() => this.#pollOnce(client, signal, () => follower.lastEventId));
    const follower = new EventFollower({
      clock,
      logger,
      client,
      signal,
      onObservation: (seen) => {
        if (!signal.aborted) this.#apply(this.#observed(client.name, seen));
      },
      onBroken: () => {
        void poll();
      },
    });
    return { client, poll, follower, stop };
  }

  #observed(neuron: string, { discovery, health, models, generation }: NeuronObservation): FleetEvent {
    const outstanding = new Map(this.#deps.outstandingAt(neuron));
    const atMs = this.#deps.clock.nowMs();
    const answer = { generation, models: [...models] };
    return { kind: "neuron-answered", neuron, atMs, discovery, health, models: answer, outstanding };
  }

  async #pollOnce(
    client: NeuronClient,
    signal: AbortSignal,
    lastEventId: () => string | undefined,
  ): Promise<boolean> {
    const event = await ask(client, this.#deps, { view: this.#view, signal });
    if (signal.aborted) return event.kind === "neuron-answered";
    if (event.kind !== "neuron-answered") {
      this.#apply(event);
      return false;
    }
    const isOld = [event.health, event.models].some((told) => isOlderThanEvent(told.event_id, lastEventId()));
    if (!isOld) this.#apply(event);
    return true;
  }

  #apply(event: FleetEvent): void {
    const before = this.#view.neurons.get(event.neuron)?.health;
    this.#show(applyFleetEvent(this.#view, event));
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
