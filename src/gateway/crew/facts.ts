import { plainMap } from "../view/entry-map.ts";
import { EMPTY_QUEUE } from "../loading/fair-queue.ts";
import type { Scheduler } from "../loading/scheduler-state.ts";
import { initialFleetView, type FleetView, type NeuronView } from "../view/fleet-view.ts";

/** What a worker must know to send a request somewhere by itself: a part of the owner's state, a moment old. */
export type Facts = Pick<Scheduler, "view" | "queues" | "loads" | "standings" | "speeds" | "inFlight">;

export const NO_FACTS: Facts = {
  view: initialFleetView([]),
  queues: new Map(),
  loads: new Map(),
  standings: new Map(),
  speeds: new Map(),
  inFlight: new Map(),
};

/** What changed of the facts since they were told last; absent is unchanged. */
export interface FactsChange {
  readonly view?: {
    /** All neurons, where they are not the same any more. */
    readonly names?: readonly string[];
    readonly changed: readonly NeuronView[];
    readonly measuredLoadMs?: FleetView["measuredLoadMs"];
    readonly known?: FleetView["known"];
  };
  /** Models that requests wait for. */
  readonly queued?: readonly string[];
  readonly loads?: Facts["loads"];
  readonly standings?: Facts["standings"];
  readonly speeds?: Facts["speeds"];
  readonly inFlight?: Facts["inFlight"];
}

/**
 * What a worker has to be told; null: nothing. All state is made anew where it changes, so that a look at each part
 * tells whether it did. Of queues a worker hears which models have one: its place in it is told to who waits.
 */
export function factsChange(told: Facts, now: Facts): FactsChange | null {
  const view = viewChange(told.view, now.view);
  const change: FactsChange = {
    ...(view === undefined ? {} : { view }),
    ...(sameKeys(told.queues, now.queues) ? {} : { queued: [...now.queues.keys()] }),
    ...(told.loads === now.loads ? {} : { loads: now.loads }),
    ...(told.standings === now.standings ? {} : { standings: now.standings }),
    ...(told.speeds === now.speeds ? {} : { speeds: plainMap(now.speeds) }),
    ...(told.inFlight === now.inFlight ? {} : { inFlight: plainMap(now.inFlight) }),
  };
  return Object.keys(change).length === 0 ? null : change;
}

function viewChange(told: FleetView, now: FleetView): FactsChange["view"] {
  if (told === now) return undefined;
  const changed = [...now.neurons.values()].filter((neuron) => told.neurons.get(neuron.name) !== neuron);
  return {
    ...(sameKeys(told.neurons, now.neurons) ? {} : { names: [...now.neurons.keys()] }),
    changed,
    ...(told.measuredLoadMs === now.measuredLoadMs ? {} : { measuredLoadMs: now.measuredLoadMs }),
    ...(told.known === now.known ? {} : { known: now.known }),
  };
}

/** In the same order. */
function sameKeys(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  if (one === other) return true;
  if (one.size !== other.size) return false;
  const names = other.keys();
  for (const name of one.keys()) if (names.next().value !== name) return false;
  return true;
}

/** The facts as they are told to be now. */
export function afterChange(facts: Facts, change: FactsChange): Facts {
  const { view, queued, loads, standings, speeds, inFlight } = change;
  return {
    view: view === undefined ? facts.view : viewAfter(facts.view, view),
    queues: queued === undefined ? facts.queues : new Map(queued.map((modelId) => [modelId, EMPTY_QUEUE])),
    loads: loads ?? facts.loads,
    standings: standings ?? facts.standings,
    speeds: speeds ?? facts.speeds,
    inFlight: inFlight ?? facts.inFlight,
  };
}

function viewAfter(view: FleetView, change: NonNullable<FactsChange["view"]>): FleetView {
  const known = new Map(view.neurons);
  for (const neuron of change.changed) known.set(neuron.name, neuron);
  const neurons =
    change.names === undefined
      ? known
      : new Map(
          change.names.flatMap((name) => {
            const neuron = known.get(name);
            return neuron === undefined ? [] : [[name, neuron] as const];
          }),
        );
  return {
    neurons,
    measuredLoadMs: change.measuredLoadMs ?? view.measuredLoadMs,
    known: change.known ?? view.known,
  };
}
