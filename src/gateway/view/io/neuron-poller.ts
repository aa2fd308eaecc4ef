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
import { neuronProblem } from "../../../protocol/neuron-failure.ts";

export interface NeuronPollerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly pollIntervalMs: number;
  /** Requests this gateway has open at a neuron, per model. */
  readonly outstandingAt: (neuron: string) => ReadonlyMap<string, number>;
}

export interface NeuronPoller {
  /** What is known now. */
  view(): FleetView;
  /** Asks one neuron afresh; true when it answered. Never rejects. */
  refresh(neuron: string): Promise<boolean>;
  /** Settles when every neuron has answered or missed once. */
  readonly firstPolls: Promise<unknown>;
  stop(): void;
}

/**
 * Polls every neuron on its own: a slow or dead one delays no other. Polls of one neuron never overlap, so an old
 * answer cannot overwrite a newer one.
 */
export function startNeuronPoller(deps: NeuronPollerDeps): NeuronPoller {
  const stopped = new AbortController();
  let view = initialFleetView(deps.fleet.neurons.map((neuron) => neuron.name));
  const apply = (event: FleetEvent) => {
    const before = view.neurons.get(event.neuron)?.health;
    view = applyFleetEvent(view, event);
    const after = view.neurons.get(event.neuron);
    if (after === undefined || after.health === before) return;
    const fields = { neuron: event.neuron, health: after.health, problem: after.problem };
    if (after.health === "healthy") deps.logger.info(fields, "neuron answers");
    else deps.logger.warn(fields, "neuron does not answer");
  };

  const pollOnce = async (client: NeuronClient): Promise<boolean> => {
    const event = await ask(client, deps, { view, signal: stopped.signal });
    if (!stopped.signal.aborted) apply(event);
    return event.kind === "neuron_answered";
  };
  const polls = new Map(
    [...deps.neurons].map(([name, client]) => [name, serialised(() => pollOnce(client))]),
  );
  const refresh = async (name: string): Promise<boolean> => (await polls.get(name)?.()) ?? false;

  const follow = async (name: string): Promise<void> => {
    while (await sleptThrough(deps.clock, deps.pollIntervalMs, stopped.signal)) await refresh(name);
  };
  const firstPolls = [...polls.keys()].map(async (name) => {
    await refresh(name);
    void follow(name);
  });
  return {
    view: () => view,
    refresh,
    firstPolls: Promise.all(firstPolls),
    stop: () => {
      stopped.abort(new Error("the gateway stops"));
    },
  };
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
    return { kind: "neuron_answered", neuron: client.name, atMs, discovery, health, models, outstanding };
  } catch (thrown) {
    const error = toCortexError(thrown);
    const problem = neuronProblem(error) ?? error.message;
    return { kind: "neuron_missed", neuron: client.name, problem };
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
