import { compareText } from "../../core/order.ts";
import type { CortexError } from "../../core/errors.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { loadProspects, refuseLoad } from "../routing/load-prospects.ts";
import { healthyNeurons, type NeuronView } from "../view/fleet-view.ts";
import { replicasOf } from "./copy-watch.ts";
import { placeSpeeds, type PlaceSpeed } from "./place-speed.ts";
import { blockedError, failedError } from "./load-refusal.ts";
import { neededMib, obtainableMib, unseenLoads } from "./place-memory.ts";
import { copyKey, type FailedPlace, type Scheduler } from "./scheduler-state.ts";
import { victimsOn, type Incoming, type Victims } from "./victims.ts";

/** What is done for the requests that wait for a model. */
export type LoadPlan =
  /** Nothing: a copy serves, or a load is under way, or memory will come free. */
  | { readonly kind: "wait"; readonly claim?: Claim }
  /** It is loaded here now; `evict` in the order in which they give way, as far as the memory is needed. */
  | {
      readonly kind: "start";
      readonly neuron: string;
      readonly evict: readonly string[];
      readonly joined: boolean;
    }
  /** It cannot be loaded, and waiting does not help. */
  | { readonly kind: "refuse"; readonly error: CortexError }
  /** Nothing can hold it now: the router says why. */
  | { readonly kind: "decide-again" };

/** Memory that an older wait counts on: a younger one leaves it that much. */
export interface Claim {
  readonly neuron: string;
  readonly neededMib: number;
}

/** What a neuron could do for a model. */
type Option =
  | {
      readonly kind: "now";
      readonly neuron: NeuronView;
      readonly evict: readonly ResidentModel[];
      /** It takes no more than what is free. */
      readonly fitsFree: boolean;
      readonly unseen: number;
      readonly leftoverMib: number;
      readonly hasFailed: boolean;
      readonly speed: PlaceSpeed;
    }
  | { readonly kind: "later"; readonly neuron: NeuronView; readonly neededMib: number | undefined }
  | { readonly kind: "failed"; readonly failed: FailedPlace }
  | { readonly kind: "blocked"; readonly neuron: NeuronView; readonly holders: readonly ResidentModel[] };

export interface Wanted {
  readonly modelId: string;
  /** How long its first waiter has waited. */
  readonly waitedMs: number;
  /** Neurons that all who wait have found dead. */
  readonly deserted: ReadonlySet<string>;
  readonly atMs: number;
}

export function planLoad(state: Scheduler, wanted: Wanted, claims: readonly Claim[]): LoadPlan {
  const { modelId, deserted, atMs } = wanted;
  const isServed = replicasOf(state, modelId).some(({ neuron }) => !deserted.has(neuron.name));
  if (state.loads.has(modelId) || isServed) return { kind: "wait" };
  const foreign = foreignLoad(state, wanted);
  if (foreign !== undefined) return foreign;
  const block = state.fleet.modelsById.get(modelId);
  if (block === undefined) return { kind: "decide-again" };
  const prospects = loadProspects(block, state.fleet, {
    view: state.view,
    excluded: deserted,
    learntMib: state.neededMib.get(modelId),
  });
  const { able, troubled } = prospects;
  if (able.length === 0) {
    // What a neuron has found the model to take is known here only: the router would send them back.
    const isTooLarge = state.neededMib.has(modelId) && troubled.length === 0;
    return isTooLarge
      ? { kind: "refuse", error: refuseLoad(prospects, modelId, state.view) }
      : { kind: "decide-again" };
  }
  const incoming: Incoming = { ...wanted, block };
  const speeds = placeSpeeds(state, modelId, able);
  const options = able.map((neuron, at) =>
    optionOn(state, neuron, { incoming, claims, speed: speeds[at] ?? AS_FAST_AS_ANY }),
  );
  return choose(options, modelId, atMs);
}

/** Somebody else loads it: to join tells how far it is, and that it is wanted here too. */
function foreignLoad(state: Scheduler, { modelId, deserted, atMs }: Wanted): LoadPlan | undefined {
  for (const { name, draining, models } of healthyNeurons(state.view)) {
    if (draining || deserted.has(name) || models.get(modelId)?.status !== "loading") continue;
    const failed = state.failures.get(copyKey(name, modelId));
    const mayJoin = state.fleet.modelsById.has(modelId) && (failed === undefined || atMs >= failed.retryAtMs);
    return mayJoin ? { kind: "start", neuron: name, evict: [], joined: true } : { kind: "wait" };
  }
  return undefined;
}

interface Asked {
  readonly incoming: Incoming;
  readonly claims: readonly Claim[];
  readonly speed: PlaceSpeed;
}

const AS_FAST_AS_ANY: PlaceSpeed = { slowness: 0, loadSlowness: 0 };

function optionOn(state: Scheduler, neuron: NeuronView, asked: Asked): Option {
  const { modelId, atMs } = asked.incoming;
  const failed = state.failures.get(copyKey(neuron.name, modelId));
  if (failed !== undefined && atMs < failed.retryAtMs) {
    return failed.passing ? { kind: "later", neuron, neededMib: undefined } : { kind: "failed", failed };
  }
  // An old copy on its way out holds the name.
  if (neuron.models.has(modelId)) return { kind: "later", neuron, neededMib: undefined };
  const room = roomOn(state, neuron, asked);
  if (room.leavesTooLittle) return { kind: "later", neuron, neededMib: undefined };
  const { evict, victims, neededMib: needed, free } = room;
  const { speed } = asked;
  const option = { neuron, unseen: room.unseen, hasFailed: hasFailedOfLate(failed, atMs), evict, speed };
  const freeMib = free([]);
  if (needed === undefined) {
    // The neuron knows once it has read the file, and makes no more leave than it takes.
    return { ...option, kind: "now", fitsFree: freeMib > 0, leftoverMib: -freeMib };
  }
  const fitsFree = freeMib >= needed;
  const leftoverMib = (fitsFree ? freeMib : free(evict)) - needed;
  if (leftoverMib >= 0) return { ...option, kind: "now", fitsFree, leftoverMib };
  return free([...victims.now, ...victims.later]) >= needed
    ? { kind: "later", neuron, neededMib: needed }
    : { kind: "blocked", neuron, holders: victims.never };
}

interface Room {
  readonly neededMib: number | undefined;
  readonly victims: Victims;
  /** Who may be made to leave now. */
  readonly evict: readonly ResidentModel[];
  /** Memory once these have left, less what was promised to loads that the neuron does not show yet. */
  readonly free: (gone: readonly ResidentModel[]) => number;
  readonly unseen: number;
  /** An older wait counts on the memory. */
  readonly leavesTooLittle: boolean;
}

function roomOn(state: Scheduler, neuron: NeuronView, { incoming, claims }: Asked): Room {
  const needed = neededMib(state, incoming.modelId);
  const victims = victimsOn(state, neuron, incoming);
  const unseen = unseenLoads(state, neuron);
  const free = (gone: readonly ResidentModel[]) =>
    obtainableMib(incoming.block, neuron, new Set(gone)) - unseen.mib;
  const claimed = claims.filter((claim) => claim.neuron === neuron.name);
  const claimedMib = claimed.reduce((sum, claim) => sum + claim.neededMib, 0);
  const leftMib = free([...victims.now, ...victims.later]) - (needed ?? Infinity);
  const mayEvict = claimed.length === 0 && !isSwapping(state, neuron.name);
  return {
    neededMib: needed,
    victims,
    evict: mayEvict ? victims.now : [],
    free,
    unseen: unseen.count,
    leavesTooLittle: claimed.length > 0 && leftMib < claimedMib,
  };
}

/** How long a neuron that could not load a model is taken last for it. */
const TAKEN_LAST_MS = 600_000;

const hasFailedOfLate = (failed: FailedPlace | undefined, atMs: number): boolean =>
  failed !== undefined && !failed.passing && atMs - failed.retryAtMs < TAKEN_LAST_MS;

/** One eviction at a time on a neuron: what it will look like afterwards is not known. */
const isSwapping = (state: Scheduler, neuron: string): boolean =>
  [...state.loads.values()].some((load) => load.neuron === neuron && load.evict.length > 0);

type NowOption = Extract<Option, { kind: "now" }>;

function choose(options: readonly Option[], modelId: string, atMs: number): LoadPlan {
  const now = options.filter((option) => option.kind === "now").toSorted(byPreference);
  const [best] = now;
  if (best !== undefined) {
    const evict = best.evict.map(({ id }) => id);
    return { kind: "start", neuron: best.neuron.name, evict, joined: false };
  }
  const later = options.filter((option) => option.kind === "later");
  const target = later.find((option) => option.neededMib !== undefined);
  if (target?.neededMib !== undefined) {
    return { kind: "wait", claim: { neuron: target.neuron.name, neededMib: target.neededMib } };
  }
  if (later.length > 0) return { kind: "wait" };
  const failed = options.flatMap((option) => (option.kind === "failed" ? [option.failed] : []));
  if (failed.length > 0) return { kind: "refuse", error: failedError(modelId, failed, atMs) };
  const blocked = options.flatMap((option) =>
    option.kind === "blocked" ? [{ neuron: option.neuron.name, holders: option.holders }] : [],
  );
  return { kind: "refuse", error: blockedError(modelId, blocked) };
}

/**
 * Best place first: where it has not failed, where no old copy is in the way, where it computes faster (as measured, or
 * as its devices let expect), where nobody must leave, where nothing else was just begun, where it loads faster, and where
 * the least memory is left over: large gaps are kept for large models.
 */
function byPreference(left: NowOption, right: NowOption): number {
  return (
    Number(left.hasFailed) - Number(right.hasFailed) ||
    left.speed.slowness - right.speed.slowness ||
    Number(!left.fitsFree) - Number(!right.fitsFree) ||
    left.unseen - right.unseen ||
    left.speed.loadSlowness - right.speed.loadSlowness ||
    left.leftoverMib - right.leftoverMib ||
    compareText(left.neuron.name, right.neuron.name)
  );
}
