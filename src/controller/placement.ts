import type { Fleet, NeuronBlock } from "../fleet/fleet-schema.ts";
import type { UnknownCopy, UnplacedCopy } from "../protocol/plan-document.ts";
import type { DesiredModel } from "./desired-models.ts";
import {
  displaceable,
  fit,
  foreignMemory,
  residentShares,
  sharesTotal,
  without,
  withTenant,
  type Fit,
  type NeuronRoom,
  type Shares,
  type Tenant,
} from "./device-room.ts";
import { reachableNeurons, type ObservedFleet } from "./observed-fleet.ts";
import { memoryRefusal, placementHint, standingRefusal, type Refusal } from "./placement-refusals.ts";
import type { JudgedCopy } from "./present-copies.ts";

/*
 * Where declared copies go. Strictly in this order: hard constraints, then the demand of higher classes, then as few
 * moves as possible, then the place with the most free memory.
 *
 * Copies that may stay do stay: they are tenants before anything is placed. What is missing is then placed class by
 * class, highest first; within a class first copies come before second ones, models with fewer possible neurons
 * before freer ones, large before small, and the id decides what is left, so the same input always gives the same
 * placement, in whatever order it arrives. A copy that fits nowhere may displace on-demand models of its own class
 * or lower and resident copies of a lower class, as few as will do. Whoever is displaced joins the queue again, in
 * its own (lower) class, so every round ends lower than it began and the whole ends.
 */

export interface Arrival {
  readonly modelId: string;
  readonly neuron: string;
  readonly shares: Shares;
}

export interface Departure {
  readonly modelId: string;
  readonly neuron: string;
  /** The model that it gives way to. */
  readonly inFavourOf: string;
}

export interface Placement {
  readonly arrivals: readonly Arrival[];
  /** Residents and on-demand models that give way. */
  readonly displaced: readonly Departure[];
  /** Copies with outdated settings that stay as they are, because the new settings fit nowhere. */
  readonly outdated: readonly { readonly modelId: string; readonly neuron: string }[];
  readonly unplaced: readonly UnplacedCopy[];
  readonly unknown: readonly UnknownCopy[];
}

export interface PlacementInput {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly copies: readonly JudgedCopy[];
}

interface Demand {
  readonly model: DesiredModel;
  /** 0 for the first copy of a model. */
  readonly ordinal: number;
  readonly possibleNeurons: number;
  /** The copy whose settings changed; its own place is tried first. */
  readonly renews: JudgedCopy | undefined;
}

interface Candidate {
  readonly room: NeuronRoom;
  readonly weight: number;
  readonly victims: readonly Tenant[];
  readonly shares: Shares;
  readonly freeAfterMb: number;
}

export function placeModels(input: PlacementInput): Placement {
  return new Placer(input).place();
}

class Placer {
  readonly #input: PlacementInput;
  readonly #rooms: Map<string, NeuronRoom>;
  readonly #demands: Demand[] = [];
  readonly #arrivals: Arrival[] = [];
  readonly #displaced: Departure[] = [];
  readonly #outdated: { modelId: string; neuron: string }[] = [];
  readonly #refused = new Map<string, { missing: number; refusals: readonly Refusal[] }>();
  readonly #unknown: UnknownCopy[] = [];

  constructor(input: PlacementInput) {
    this.#input = input;
    this.#rooms = new Map(
      reachableNeurons(input.observed).map((neuron) => [neuron.name, initialRoom(neuron.name, input)]),
    );
    for (const model of input.desired.values()) this.#demand(model);
  }

  place(): Placement {
    for (let next = this.#nextDemand(); next !== undefined; next = this.#nextDemand()) this.#satisfy(next);
    const unplaced = this.#unplaced();
    return {
      arrivals: this.#arrivals,
      displaced: this.#displaced,
      outdated: this.#outdated,
      unplaced,
      unknown: this.#unknown.toSorted((left, right) => (left.model_id < right.model_id ? -1 : 1)),
    };
  }

  #demand(model: DesiredModel): void {
    const { id, replicas } = model.block;
    const present = this.#input.copies.filter(
      (copy) => copy.resident.id === id && copy.standing.kind === "kept",
    );
    const claims = this.#claimUnknown(model, replicas - present.length);
    const missing = Math.max(0, replicas - present.length - claims);
    const possibleNeurons = this.#possibleNeurons(model);
    const outdated = present.filter((copy) => copy.standing.kind === "kept" && !copy.standing.current);
    for (const copy of outdated) this.#demands.push({ model, ordinal: 0, possibleNeurons, renews: copy });
    for (let ordinal = replicas - missing; ordinal < replicas; ordinal += 1)
      this.#demands.push({ model, ordinal, possibleNeurons, renews: undefined });
  }

  /**
   * A pinned model may well be on the pinned neuron that does not answer: loading it elsewhere would be a move made
   * in the dark. The copy keeps its claim until the neuron answers, is drained, or leaves the pins.
   */
  #claimUnknown(model: DesiredModel, missing: number): number {
    const neurons = this.#silentNeurons().filter((name) => model.block.pinned_on.includes(name));
    const claims = Math.min(Math.max(0, missing), neurons.length);
    if (claims > 0) this.#unknown.push({ model_id: model.block.id, replicas: claims, neurons });
    return claims;
  }

  #possibleNeurons(model: DesiredModel): number {
    return this.#input.fleet.neurons.filter(
      (block) => standingRefusal(model, block, this.#rooms.get(block.name)?.neuron) === undefined,
    ).length;
  }

  #nextDemand(): Demand | undefined {
    this.#demands.sort(byUrgency);
    return this.#demands.shift();
  }

  #satisfy(demand: Demand): void {
    if (demand.renews !== undefined && this.#renew(demand, demand.renews)) return;
    const { candidates, refusals } = this.#survey(demand.model);
    const best = candidates.sort(byPreference)[0];
    if (best !== undefined) {
      this.#settle(demand.model, best);
      return;
    }
    const id = demand.model.block.id;
    if (demand.renews !== undefined) this.#keepOutdated(demand.model, demand.renews);
    this.#refused.set(id, { missing: (this.#refused.get(id)?.missing ?? 0) + 1, refusals });
  }

  /** New settings in the old place, if they fit there. */
  #renew(demand: Demand, copy: JudgedCopy): boolean {
    const room = this.#rooms.get(copy.neuron.name);
    if (room === undefined) return false;
    const candidate = this.#candidate(demand.model, room, copy.resident.devices);
    if (!("shares" in candidate)) return false;
    this.#settle(demand.model, candidate);
    return true;
  }

  #keepOutdated(model: DesiredModel, copy: JudgedCopy): void {
    const room = this.#rooms.get(copy.neuron.name);
    const footprintMb = copy.resident.vram_used_mb;
    const need = { ...model.need, footprintMb, minDevices: copy.resident.devices.length };
    const found =
      room === undefined ? undefined : fit(room, { ...need, preferredDevices: copy.resident.devices });
    if (room === undefined || found?.fits !== true) return;
    this.#rooms.set(copy.neuron.name, withTenant(room, tenantOf(model, found.shares)));
    this.#outdated.push({ modelId: model.block.id, neuron: copy.neuron.name });
  }

  #survey(model: DesiredModel): { candidates: Candidate[]; refusals: Refusal[] } {
    const candidates: Candidate[] = [];
    const refusals: Refusal[] = [];
    for (const block of this.#input.fleet.neurons) {
      const outcome = this.#consider(model, block);
      if ("shares" in outcome) candidates.push(outcome);
      else refusals.push(outcome);
    }
    refusals.sort((left, right) => (left.neuron < right.neuron ? -1 : 1));
    return { candidates, refusals };
  }

  #consider(model: DesiredModel, block: NeuronBlock): Candidate | Refusal {
    const observed = this.#input.observed.neurons.find((neuron) => neuron.name === block.name);
    const reason = standingRefusal(model, block, observed);
    if (reason !== undefined) return { neuron: block.name, reason };
    const room = this.#rooms.get(block.name);
    if (room === undefined) return { neuron: block.name, reason: "does not answer" };
    if (room.tenants.some((tenant) => tenant.modelId === model.block.id)) {
      return { neuron: block.name, reason: "already has a copy, and a neuron holds one" };
    }
    return this.#candidate(model, room);
  }

  #candidate(
    model: DesiredModel,
    room: NeuronRoom,
    preferredDevices?: readonly number[],
  ): Candidate | Refusal {
    const need = preferredDevices === undefined ? model.need : { ...model.need, preferredDevices };
    const weight = this.#input.fleet.neurons.find((block) => block.name === room.neuron.name)?.weight ?? 1;
    const asItIs = fit(room, need);
    if (asItIs.fits) return { room, weight, victims: [], ...asItIs };
    if (need.footprintMb === undefined) return memoryRefusal(model, room, asItIs);
    const victims: Tenant[] = [];
    let last: Fit & { fits: false } = asItIs;
    for (const tenant of displaceable(room, model.priority)) {
      victims.push(tenant);
      const emptied = fit(without(room, victims), need);
      if (emptied.fits) return { room, weight, ...fewestVictims(room, victims, (left) => fit(left, need)) };
      last = emptied;
    }
    return memoryRefusal(model, without(room, victims), last);
  }

  #settle(model: DesiredModel, choice: Candidate): void {
    const neuron = choice.room.neuron.name;
    for (const victim of choice.victims) {
      this.#displaced.push({ modelId: victim.modelId, neuron, inFavourOf: model.block.id });
      this.#withdraw(victim.modelId, neuron);
      const displaced = this.#input.desired.get(victim.modelId);
      if (victim.rank !== "resident" || displaced === undefined) continue;
      const possibleNeurons = this.#possibleNeurons(displaced);
      this.#demands.push({ model: displaced, ordinal: 0, possibleNeurons, renews: undefined });
    }
    this.#rooms.set(neuron, withTenant(without(choice.room, choice.victims), tenantOf(model, choice.shares)));
    this.#arrivals.push({ modelId: model.block.id, neuron, shares: choice.shares });
  }

  /** Only a lower class is displaced and classes are served in descending order, so it never arrived in this run. */
  #withdraw(modelId: string, neuron: string): void {
    const arrived = this.#arrivals.findIndex(
      (arrival) => arrival.modelId === modelId && arrival.neuron === neuron,
    );
    if (arrived !== -1) throw new Error(`placement displaced ${modelId} on ${neuron} after placing it`);
  }

  /** What found no place may still be on a neuron that does not answer; only the rest is known to be missing. */
  #unplaced(): UnplacedCopy[] {
    return [...this.#refused]
      .flatMap(([id, { missing, refusals }]) => {
        const model = this.#input.desired.get(id);
        if (model === undefined) return [];
        const perhaps = model.block.pinned_on.length > 0 ? [] : this.#silentNeurons();
        const unknown = Math.min(missing, perhaps.length);
        if (unknown > 0) this.#unknown.push({ model_id: id, replicas: unknown, neurons: perhaps });
        if (unknown === missing) return [];
        return [
          {
            model_id: id,
            missing_replicas: missing - unknown,
            refusals: refusals.map(({ neuron, reason }) => ({ neuron, reason })),
            hint: placementHint(model, refusals),
          },
        ];
      })
      .sort((left, right) => compareNames(left.model_id, right.model_id));
  }

  #silentNeurons(): string[] {
    return this.#input.fleet.neurons
      .filter((block) => !block.drain && !this.#rooms.has(block.name))
      .map((block) => block.name);
  }
}

/** Who is on a neuron before anything is placed: all that stay, and nothing that leaves anyway. */
function initialRoom(name: string, input: PlacementInput): NeuronRoom {
  const copies = input.copies.filter((copy) => copy.neuron.name === name);
  const neuron =
    copies[0]?.neuron ?? reachableNeurons(input.observed).find((candidate) => candidate.name === name);
  if (neuron === undefined) throw new Error(`no such neuron: ${name}`);
  const shares = residentShares(neuron);
  const tenants = copies.flatMap((copy): Tenant[] => {
    const rank = rankOf(copy);
    if (rank === undefined) return [];
    return [
      {
        modelId: copy.resident.id,
        priority: copy.model?.priority ?? 0,
        rank,
        lastUsedMs: copy.resident.last_used_ms ?? 0,
        shares: shares.get(copy.resident.id) ?? new Map(),
      },
    ];
  });
  return { neuron, foreign: foreignMemory(neuron), tenants };
}

function rankOf({ standing, resident, model }: JudgedCopy): Tenant["rank"] | undefined {
  if (standing.kind === "leaves" || standing.kind === "ending") return undefined;
  if (standing.kind === "left_alone") return "fixed";
  // An outdated copy is not a tenant: its renewal asks for its place in the order of classes.
  if (standing.kind === "kept" && !standing.current) return undefined;
  if (model?.block.protect === true || resident.origin.kind === "manual") return "fixed";
  return standing.kind === "kept" ? "resident" : "on_demand";
}

const tenantOf = (model: DesiredModel, shares: Shares): Tenant => ({
  modelId: model.block.id,
  priority: model.priority,
  rank: model.block.protect ? "fixed" : "resident",
  lastUsedMs: 0,
  shares,
});

/** Spares every victim that turns out not to be needed, those who matter most first. */
function fewestVictims(
  room: NeuronRoom,
  victims: readonly Tenant[],
  fits: (room: NeuronRoom) => Fit,
): Pick<Candidate, "victims" | "shares" | "freeAfterMb"> {
  let needed = [...victims];
  for (const victim of victims.toReversed()) {
    const fewer = needed.filter((candidate) => candidate !== victim);
    if (fits(without(room, fewer)).fits) needed = fewer;
  }
  const found = fits(without(room, needed));
  if (!found.fits) throw new Error("the last victims do not make room any more");
  return { victims: needed, shares: found.shares, freeAfterMb: found.freeAfterMb };
}

function byUrgency(left: Demand, right: Demand): number {
  return (
    right.model.priority - left.model.priority ||
    Number(right.renews !== undefined) - Number(left.renews !== undefined) ||
    left.ordinal - right.ordinal ||
    left.possibleNeurons - right.possibleNeurons ||
    sizeOf(right) - sizeOf(left) ||
    compareNames(left.model.block.id, right.model.block.id) ||
    compareNames(placeOf(left), placeOf(right))
  );
}

const sizeOf = (demand: Demand): number => demand.model.need.footprintMb ?? 0;
const placeOf = (demand: Demand): string => demand.renews?.neuron.name ?? "";

/** Nobody leaves if that can be; then as little as possible leaves; then the most free memory. */
function byPreference(left: Candidate, right: Candidate): number {
  return (
    disturbance(left) - disturbance(right) ||
    right.freeAfterMb - left.freeAfterMb ||
    right.weight - left.weight ||
    left.room.tenants.length - right.room.tenants.length ||
    compareNames(left.room.neuron.name, right.room.neuron.name)
  );
}

/** A resident that leaves weighs more than any on-demand model. */
const disturbance = ({ victims }: Candidate): number =>
  victims.reduce(
    (total, victim) => total + (victim.rank === "resident" ? 1e9 : 1) + sharesTotal(victim.shares),
    0,
  );

const compareNames = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);
