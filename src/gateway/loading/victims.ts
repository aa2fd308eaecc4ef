import { assertNever } from "../../core/assert-never.ts";
import { withEntry } from "../view/entry-map.ts";
import { DEFAULT_RESIDENCY_PRIORITY, type ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import { fleetOfOrigin } from "../../fleet/fleet-owner.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import type { NeuronView } from "../view/fleet-view.ts";
import { givingWay, workAt } from "./copy-watch.ts";
import { mayGoAtOnce, wishedMs } from "./residency-wishes.ts";
import { copyKey, type Demand, type Scheduler } from "./scheduler-state.ts";

/** Where nothing was measured: how long a load may take. */
const UNMEASURED_LOAD_MS = 5_000;
/** A copy that works stays twice the time that a load takes, so that at most a third of the time goes into loading. */
const RESIDENCY_PER_LOAD = 2;
const LEAST_RESIDENCY_MS = 2_000;
/** How long a copy must be idle before another takes its place at once: a pause between two requests is no end. */
const QUIET_PER_LOAD = 0.25;
const LEAST_QUIET_MS = 1_000;
const LONGEST_QUIET_MS = 5_000;
const DEMAND_HALF_LIFE_MS = 600_000;

export const classOf = (block: ModelBlock | undefined): number =>
  block?.residency_priority ?? DEFAULT_RESIDENCY_PRIORITY;

/**
 * Whether a copy is here because a request of this fleet asked for it. Declared residents, protected ones, what a
 * person or an apply has loaded, and what another fleet has, never give way to a request.
 */
export function isOnDemand({ fleet }: Scheduler, { id, origin }: ResidentModel): boolean {
  const block = fleet.modelsById.get(id);
  const owner = { name: fleet.fleetName, repository: fleet.repository };
  const isOurs = origin.fleet === undefined || fleetOfOrigin(origin, owner) === fleet.fleetName;
  return origin.kind === "request" && isOurs && (block?.replicas ?? 0) === 0 && block?.protect !== true;
}

const loadMsOf = (state: Scheduler, modelId: string): number =>
  state.view.measuredLoadMs.get(modelId) ?? UNMEASURED_LOAD_MS;

export const quietMs = (state: Scheduler, modelId: string): number =>
  Math.min(LONGEST_QUIET_MS, Math.max(LEAST_QUIET_MS, QUIET_PER_LOAD * loadMsOf(state, modelId)));

export const residencyMs = (state: Scheduler, modelId: string): number =>
  state.policy.minResidencyMs ?? Math.max(LEAST_RESIDENCY_MS, RESIDENCY_PER_LOAD * loadMsOf(state, modelId));

/** On whose behalf places are sought. */
export interface Incoming {
  readonly modelId: string;
  readonly block: ModelBlock;
  /** How long its first waiter has waited. */
  readonly waitedMs: number;
  readonly atMs: number;
}

export interface Victims {
  /** May leave now, in this order. */
  readonly now: readonly ResidentModel[];
  /** May leave, but not yet: they have just come, or had no pause. */
  readonly later: readonly ResidentModel[];
  /** Stay. */
  readonly never: readonly ResidentModel[];
}

/**
 * Which copies of a neuron may give way to a model. One that is idle may leave at once. One that works may be asked to
 * finish once it has been here for its time and the other has waited for a pause in vain; so two models with memory
 * for one take turns, and neither starves. A model never gives way to one of a lower class, and to a higher one
 * without having had its time.
 */
export function victimsOn(state: Scheduler, neuron: NeuronView, incoming: Incoming): Victims {
  const leaving = givingWay(state, neuron.name);
  const idle: ResidentModel[] = [];
  const due: ResidentModel[] = [];
  const later: ResidentModel[] = [];
  const never: ResidentModel[] = [];
  for (const model of neuron.models.values()) {
    const block = state.fleet.modelsById.get(model.id);
    if (model.id === incoming.modelId || model.status === "unloading" || leaving.has(model.id)) {
      later.push(model);
    } else if (!isOnDemand(state, model) || classOf(block) > classOf(incoming.block)) never.push(model);
    else if (model.status === "loading") later.push(model);
    else if (isIdle(state, neuron, { model, incoming })) idle.push(model);
    else if (isDue(state, neuron, { model, incoming })) due.push(model);
    else later.push(model);
  }
  const order = byStrategy(state, neuron.name, incoming.atMs);
  return { now: [...idle.sort(order), ...due.sort(order)], later, never };
}

interface Confrontation {
  readonly model: ResidentModel;
  readonly incoming: Incoming;
}

function isIdle(state: Scheduler, neuron: NeuronView, { model, incoming }: Confrontation): boolean {
  if (state.queues.has(model.id) || workAt(state, neuron, model.id) > 0) return false;
  const idleSinceMs = state.copies.get(copyKey(neuron.name, model.id))?.idleSinceMs ?? null;
  if (idleSinceMs === null) return false;
  return mayGoAtOnce(state, model.id) || incoming.atMs - idleSinceMs >= quietMs(state, incoming.modelId);
}

function isDue(state: Scheduler, neuron: NeuronView, { model, incoming }: Confrontation): boolean {
  if (incoming.waitedMs < quietMs(state, incoming.modelId)) return false;
  if (classOf(state.fleet.modelsById.get(model.id)) < classOf(incoming.block)) return true;
  const watch = state.copies.get(copyKey(neuron.name, model.id));
  return watch !== undefined && incoming.atMs - watch.loadedSinceMs >= residencyMs(state, incoming.modelId);
}

const lastUse = (model: ResidentModel): number => model.last_used_ms ?? model.loaded_at_ms ?? 0;

const byUse = (left: ResidentModel, right: ResidentModel): number => lastUse(left) - lastUse(right);

type Order = (left: ResidentModel, right: ResidentModel) => number;

/** Whom clients let go first, whom they wish to stay last, and among those whom they wish to stay longest. */
function byWish(state: Scheduler, neuron: string, atMs: number): Order {
  const wished = ({ id }: ResidentModel) =>
    mayGoAtOnce(state, id) ? -1 : wishedMs(state, { neuron, modelId: id, atMs });
  return (left, right) => Math.sign(wished(left) - wished(right) || 0);
}

function byStrategy(state: Scheduler, neuron: string, atMs: number): Order {
  const { strategy } = state.policy;
  const byWishes = byWish(state, neuron, atMs);
  switch (strategy) {
    case "lru":
      return (left, right) => byWishes(left, right) || byUse(left, right);
    case "priority": {
      const rank = (model: ResidentModel) => classOf(state.fleet.modelsById.get(model.id));
      return (left, right) => rank(left) - rank(right) || byWishes(left, right) || byUse(left, right);
    }
    case "cost": {
      // What it would cost to have it back, times how likely that is.
      const cost = ({ id }: ResidentModel) => loadMsOf(state, id) * demandNow(state.demand.get(id), atMs);
      return (left, right) => byWishes(left, right) || cost(left) - cost(right) || byUse(left, right);
    }
    default:
      return assertNever(strategy);
  }
}

const demandNow = (demand: Demand | undefined, atMs: number): number =>
  demand === undefined ? 0 : demand.score * 2 ** ((demand.atMs - atMs) / DEMAND_HALF_LIFE_MS);

export function withDemand(state: Scheduler, modelId: string, atMs: number): Scheduler {
  const score = demandNow(state.demand.get(modelId), atMs) + 1;
  return { ...state, demand: withEntry(state.demand, modelId, { score, atMs }) };
}
