import { fleetOfOrigin } from "../../fleet/fleet-owner.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { healthyNeurons, type NeuronView } from "../view/fleet-view.ts";
import { givingWay, replicasOf, workAt } from "./copy-watch.ts";
import { copyKey, type Scheduler, type SchedulerEffect, type SchedulerStep } from "./scheduler-state.ts";

/** A pause between two requests is no end: who has nobody to stand in for it is quiet for so long before it goes. */
const QUIET_MS = 30_000;
const AGAIN_MS = 60_000;

/**
 * Has copies loaded anew that have seen many others come and go beside them (`defrag_after_cycles`): memory is given out
 * in the gaps that others left, and only when whoever stays has gone once too is it one piece again. One at a time on a
 * neuron, on which nothing else moves; and one at a time of a model. A copy beside which another serves drains, the
 * only one goes when it has had no work for a while. The neuron does it, and loads the same again.
 */
export function recycleWorn(start: Scheduler, atMs: number): SchedulerStep {
  const { defragAfterCycles } = start.policy;
  if (defragAfterCycles === 0) return { state: start, effects: [] };
  const unloads = new Map(start.unloads);
  const effects: SchedulerEffect[] = [];
  const chosen = new Set<string>();
  for (const neuron of healthyNeurons(start.view)) {
    const { name, generation } = neuron;
    if (generation === null || neuron.draining || !isStill(start, neuron)) continue;
    const worn = [...neuron.models.values()]
      .filter((model) => !chosen.has(model.id) && mayGo(start, { neuron, model, atMs }))
      .toSorted((left, right) => (right.cycles ?? 0) - (left.cycles ?? 0));
    const [model] = worn;
    if (model === undefined) continue;
    chosen.add(model.id);
    unloads.set(copyKey(name, model.id), atMs + AGAIN_MS);
    const drainMs = othersServe(start, neuron, model) ? start.policy.drainMs : 0;
    effects.push({ kind: "recycle-copy", modelId: model.id, neuron: name, generation, drainMs });
  }
  return { state: effects.length === 0 ? start : { ...start, unloads }, effects };
}

/** Nothing comes or goes there: what is worn now may be fresh in a moment, and memory may be promised. */
function isStill(state: Scheduler, neuron: NeuronView): boolean {
  const loadsHere = [...state.loads.values()].some((load) => load.neuron === neuron.name);
  return !loadsHere && [...neuron.models.values()].every(({ status }) => status === "loaded");
}

interface Copy {
  readonly neuron: NeuronView;
  readonly model: ResidentModel;
  readonly atMs: number;
}

const isWorn = (state: Scheduler, { cycles = 0 }: ResidentModel): boolean =>
  cycles >= state.policy.defragAfterCycles;

function mayGo(state: Scheduler, { neuron, model, atMs }: Copy): boolean {
  if (!isWorn(state, model) || !isOurs(state, model)) return false;
  const key = copyKey(neuron.name, model.id);
  if ((state.unloads.get(key) ?? atMs) > atMs || givingWay(state, neuron.name).has(model.id)) return false;
  if (isMoving(state, model.id)) return false;
  if (othersServe(state, neuron, model)) return true;
  const idleSinceMs = state.copies.get(key)?.idleSinceMs ?? Infinity;
  const isQuiet = atMs - idleSinceMs >= QUIET_MS && workAt(state, neuron, model.id) === 0;
  return isQuiet && !state.queues.has(model.id);
}

/** What another fleet has is not ours to move. */
function isOurs({ fleet }: Scheduler, { origin }: ResidentModel): boolean {
  const owner = { name: fleet.fleetName, repository: fleet.repository };
  return origin.fleet === undefined || fleetOfOrigin(origin, owner) === fleet.fleetName;
}

const othersServe = (state: Scheduler, neuron: NeuronView, { id }: ResidentModel): boolean =>
  replicasOf(state, id).some((replica) => replica.neuron.name !== neuron.name);

/** A copy of it is on its way in or out already. */
const isMoving = (state: Scheduler, modelId: string): boolean =>
  state.loads.has(modelId) ||
  [...healthyNeurons(state.view)].some(({ models }) => {
    const status = models.get(modelId)?.status;
    return status !== undefined && status !== "loaded";
  });
