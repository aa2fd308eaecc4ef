import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { withEntry, withoutEntry } from "../view/entry-map.ts";
import { replicaLoad, type FleetView, type NeuronView } from "../view/fleet-view.ts";
import { afterAnswer } from "../routing/replica-speed.ts";
import { withOutcome, withSending } from "./copy-standing.ts";
import { copyKey, type CopyWatch, type PlaceAt, type PlaceEnd, type Scheduler } from "./scheduler-state.ts";

export const inFlightAt = (state: Scheduler, neuron: string, modelId: string): number =>
  state.inFlight.get(copyKey(neuron, modelId)) ?? 0;

/** Work at a copy, this gateway's and others'. */
export const workAt = (state: Scheduler, neuron: NeuronView, modelId: string): number =>
  replicaLoad(neuron, modelId, inFlightAt(state, neuron.name, modelId));

/** A request takes a place at a copy. */
export const withEntered = (state: Scheduler, place: PlaceAt, atMs: number): Scheduler =>
  withSending(withInFlight(state, place, { by: 1, atMs }), place, atMs);

/** A request gives its place back, and what came of it. */
export const withLeft = (
  state: Scheduler,
  place: PlaceAt,
  end: PlaceEnd & { readonly atMs: number },
): Scheduler => {
  const left = withOutcome(withInFlight(state, place, { by: -1, atMs: end.atMs }), place, end);
  if (end.tokensPerSec === null) return left;
  const key = copyKey(place.neuron, place.modelId);
  const speed = afterAnswer(left.speeds.get(key), end.tokensPerSec);
  return { ...left, speeds: withEntry(left.speeds, key, speed) };
};

/** Tokens a second of a copy's answers of late; null: not measured. */
export const speedOf = (state: Scheduler, { neuron, modelId }: PlaceAt): number | null =>
  state.speeds.get(copyKey(neuron, modelId)) ?? null;

/** Counts a request in or out, and notes since when the copy is idle. */
function withInFlight(
  state: Scheduler,
  place: PlaceAt,
  change: { readonly by: 1 | -1; readonly atMs: number },
): Scheduler {
  const key = copyKey(place.neuron, place.modelId);
  const count = Math.max(0, (state.inFlight.get(key) ?? 0) + change.by);
  const inFlight = count === 0 ? withoutEntry(state.inFlight, key) : withEntry(state.inFlight, key, count);
  const watch = state.copies.get(key);
  if (watch === undefined) return { ...state, inFlight };
  const idleSinceMs = count === 0 ? change.atMs : null;
  // Most requests come to a copy that has others, and leave others there.
  if (watch.idleSinceMs === idleSinceMs) return { ...state, inFlight };
  return { ...state, inFlight, copies: withEntry(state.copies, key, { ...watch, idleSinceMs }) };
}

/** Takes a new view over, and what it says about every loaded copy. Copies of silent neurons are not forgotten. */
export function observeView(state: Scheduler, view: FleetView, atMs: number): Scheduler {
  const copies = new Map<string, CopyWatch>();
  for (const neuron of view.neurons.values()) {
    for (const model of neuron.models.values()) {
      if (model.status !== "loaded") continue;
      const key = copyKey(neuron.name, model.id);
      copies.set(key, watchCopy(state.copies.get(key), { state, neuron, model, atMs }));
    }
  }
  return { ...state, view, copies };
}

function watchCopy(
  before: CopyWatch | undefined,
  now: {
    readonly state: Scheduler;
    readonly neuron: NeuronView;
    readonly model: ResidentModel;
    readonly atMs: number;
  },
): CopyWatch {
  const { state, neuron, model, atMs } = now;
  const isBusy = workAt(state, neuron, model.id) > 0;
  const lastUsedMs = model.last_used_ms;
  if (before === undefined) return { loadedSinceMs: atMs, idleSinceMs: isBusy ? null : atMs, lastUsedMs };
  if (isBusy) return { ...before, idleSinceMs: null, lastUsedMs };
  const wasUsed = before.idleSinceMs === null || before.lastUsedMs !== lastUsedMs;
  return wasUsed ? { ...before, idleSinceMs: atMs, lastUsedMs } : before;
}

/** Names of the models that a load of this gateway makes leave: they take no requests from here any more. */
export function givingWay(state: Scheduler, neuron: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const load of state.loads.values()) {
    if (load.neuron === neuron) for (const modelId of load.evict) names.add(modelId);
  }
  return names;
}

export interface Replica {
  readonly neuron: NeuronView;
  readonly model: ResidentModel;
}

/** Copies that serve, as far as is known. */
export function replicasOf(state: Scheduler, modelId: string): readonly Replica[] {
  const replicas: Replica[] = [];
  for (const neuron of state.view.neurons.values()) {
    const replica = replicaOn(state, neuron, modelId);
    if (replica !== null) replicas.push(replica);
  }
  return replicas;
}

/** The one of this neuron; null where it has none that serves. */
function replicaOn(state: Scheduler, neuron: NeuronView, modelId: string): Replica | null {
  if (neuron.health !== "healthy" || neuron.draining) return null;
  const model = neuron.models.get(modelId);
  if (model?.status !== "loaded" || !model.servable.ok) return null;
  return state.loads.size > 0 && givingWay(state, neuron.name).has(modelId) ? null : { neuron, model };
}

function replicaAt(state: Scheduler, name: string, modelId: string): Replica | null {
  const neuron = state.view.neurons.get(name);
  return neuron === undefined ? null : replicaOn(state, neuron, modelId);
}

/**
 * How full a copy is, 1 and more: it takes no further request. Beside the slots there is a queue as long as they, so
 * that none is idle between two requests; longer it is not, so that who waits goes to whichever copy is free first.
 */
export const fullness = (state: Scheduler, replica: Replica): number =>
  workAt(state, replica.neuron, replica.model.id) / placesOf(replica);

function placesOf({ neuron, model }: Replica): number {
  const load = neuron.loads.get(model.id);
  const slots = Math.max(
    1,
    load === undefined || load.max_in_flight === 0 ? model.parallel : load.max_in_flight,
  );
  const queued = Math.min(slots, load?.max_queue_depth ?? slots);
  return slots + queued;
}

/** How many more requests a copy takes; 0 for one that does not serve. */
export function freePlaces(state: Scheduler, neuron: string, modelId: string): number {
  const replica = replicaAt(state, neuron, modelId);
  return replica === null ? 0 : placesOf(replica) - workAt(state, replica.neuron, modelId);
}

/** Whether a request that comes now may take a place at the copy: there is room, and nobody waits for it. */
export function hasRoom(state: Scheduler, neuron: string, modelId: string): boolean {
  if (state.queues.has(modelId)) return false;
  const replica = replicaAt(state, neuron, modelId);
  return replica !== null && fullness(state, replica) < 1;
}
