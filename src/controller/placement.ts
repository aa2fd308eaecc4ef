import type { Fleet, NeuronBlock } from "../fleet/fleet-schema.ts";
import type { UnknownCopy, UnplacedCopy } from "../protocol/plan-document.ts";
import type { DesiredModel } from "./desired-models.ts";
import { without, withTenant, type NeuronRoom, type Shares, type Tenant } from "./device-room.ts";
import type { ObservedFleet } from "./observed-fleet.ts";
import { byPreference, candidateOn, type Candidate } from "./placement-choice.ts";
import { placementHint, standingRefusal, type Refusal } from "./placement-refusals.ts";
import { placedTenant, roomsOf } from "./placement-rooms.ts";
import type { JudgedCopy } from "./present-copies.ts";

/*
 * Where declared copies go. Strictly in this order: hard constraints, then the demand of higher classes, then as few
 * moves as possible, then the place with the most free memory.
 *
 * Copies that may stay do stay: they are tenants before anything is placed. What is missing is then placed class by
 * class, highest first; within a class new settings of running copies come before new copies, first copies before
 * second ones, models with fewer possible neurons before freer ones, large before small, and the id decides what is
 * left, so the same input always gives the same placement, in whatever order it arrives.
 *
 * A copy that fits nowhere may displace on-demand models of its own class or lower and resident copies of a lower
 * class, as few as will do. Whoever is displaced joins the queue again. A demand that found no place is tried again
 * whenever a later one has moved something. This ends: every placement adds to its own class and takes only from
 * lower ones, so the numbers of placed copies, read from the highest class down, only grow.
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

export const placeModels = (input: PlacementInput): Placement => new Placer(input).place();

class Placer {
  readonly #input: PlacementInput;
  readonly #rooms: Map<string, NeuronRoom>;
  readonly #unknown = new Map<string, UnknownCopy>();
  readonly #displaced: Departure[] = [];
  #queue: Demand[] = [];
  /** Demands that found no place as things stood. */
  #waiting: Demand[] = [];
  #arrivals: Arrival[] = [];

  constructor(input: PlacementInput) {
    this.#input = input;
    this.#rooms = roomsOf(input.observed, input.copies);
    for (const model of input.desired.values()) this.#demand(model);
  }

  place(): Placement {
    for (let next = this.#nextDemand(); next !== undefined; next = this.#nextDemand()) {
      if (!this.#satisfy(next)) {
        this.#waiting.push(next);
        continue;
      }
      this.#queue.push(...this.#waiting);
      this.#waiting = [];
    }
    const unplaced = this.#unplaced();
    return {
      arrivals: this.#arrivals,
      displaced: this.#displaced,
      outdated: this.#waiting.flatMap(({ model, renews }) =>
        renews === undefined ? [] : [{ modelId: model.block.id, neuron: renews.neuron.name }],
      ),
      unplaced,
      unknown: [...this.#unknown.values()].sort((left, right) => compareNames(left.model_id, right.model_id)),
    };
  }

  #demand(model: DesiredModel): void {
    const { id, replicas, pinned_on: pins } = model.block;
    const present = this.#input.copies.filter(
      (copy) => copy.resident.id === id && copy.standing.kind === "kept",
    );
    const claims = pins.length > 0 ? this.#claimUnknown(model, replicas - present.length) : 0;
    const possibleNeurons = this.#possibleNeurons(model);
    for (const copy of present) {
      if (copy.standing.kind === "kept" && !copy.standing.current)
        this.#queue.push({ model, ordinal: 0, possibleNeurons, renews: copy });
    }
    for (let ordinal = present.length + claims; ordinal < replicas; ordinal += 1)
      this.#queue.push({ model, ordinal, possibleNeurons, renews: undefined });
  }

  /**
   * How many of the missing copies may be on neurons that do not answer. A pinned model is asked about before
   * anything is placed: loading it on another of its neurons would be a move made in the dark, so the copy keeps
   * its claim until the neuron answers, is drained, or leaves the pins. Any other model is placed on the neurons
   * that answer, and only what found no place there is asked about.
   */
  #claimUnknown(model: DesiredModel, missing: number): number {
    const { id, pinned_on: pins } = model.block;
    const earlier = this.#unknown.get(id)?.replicas ?? 0;
    const neurons = this.#silentNeurons().filter((name) => pins.length === 0 || pins.includes(name));
    const claims = Math.min(Math.max(0, missing), neurons.length - earlier);
    if (claims > 0) this.#unknown.set(id, { model_id: id, replicas: earlier + claims, neurons });
    return claims;
  }

  #silentNeurons(): string[] {
    return this.#input.fleet.neurons
      .filter((block) => !block.drain && !this.#rooms.has(block.name))
      .map((block) => block.name)
      .toSorted();
  }

  #possibleNeurons(model: DesiredModel): number {
    return this.#input.fleet.neurons.filter(
      (block) => standingRefusal(model, block, this.#rooms.get(block.name)?.neuron) === undefined,
    ).length;
  }

  #nextDemand(): Demand | undefined {
    this.#queue.sort(byUrgency);
    return this.#queue.shift();
  }

  /** False when there is no place for it now. */
  #satisfy(demand: Demand): boolean {
    if (demand.renews !== undefined) return this.#renew(demand.model, demand.renews);
    const best = this.#survey(demand.model).candidates.sort(byPreference)[0];
    if (best === undefined) return false;
    this.#settle(demand.model, best);
    return true;
  }

  /** New settings in the old place if they fit there, else elsewhere, else the old copy stays as it is. */
  #renew(model: DesiredModel, copy: JudgedCopy): boolean {
    const neuron = copy.neuron.name;
    const occupied = this.#rooms.get(neuron);
    const tenant = occupied?.tenants.find(({ modelId }) => modelId === model.block.id);
    // Displaced by a higher class in the meantime: then it is an ordinary demand by now.
    if (occupied === undefined || tenant === undefined) return true;
    const room = without(occupied, [tenant]);
    this.#rooms.set(neuron, room);
    const { devices: preferredDevices } = copy.resident;
    const inPlace = candidateOn(model, { room, weight: this.#weight(neuron), preferredDevices });
    const choice = "shares" in inPlace ? inPlace : this.#survey(model).candidates.sort(byPreference)[0];
    if (choice === undefined) {
      this.#rooms.set(neuron, occupied);
      return false;
    }
    this.#settle(model, choice);
    return true;
  }

  #survey(model: DesiredModel): { candidates: Candidate[]; refusals: Refusal[] } {
    const candidates: Candidate[] = [];
    const refusals: Refusal[] = [];
    for (const block of this.#input.fleet.neurons) {
      const outcome = this.#consider(model, block);
      if ("shares" in outcome) candidates.push(outcome);
      else refusals.push(outcome);
    }
    refusals.sort((left, right) => compareNames(left.neuron, right.neuron));
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
    // A copy that was to leave as one too many may be wanted here after all.
    const here = this.#input.copies.find(
      (copy) => copy.resident.id === model.block.id && copy.neuron.name === block.name,
    );
    return candidateOn(model, { room, weight: block.weight, preferredDevices: here?.resident.devices });
  }

  #weight(neuron: string): number {
    return this.#input.fleet.neurons.find((block) => block.name === neuron)?.weight ?? 1;
  }

  #settle(model: DesiredModel, choice: Candidate): void {
    const neuron = choice.room.neuron.name;
    for (const victim of choice.victims) this.#displace(victim, neuron, model.block.id);
    const emptied = without(choice.room, choice.victims);
    this.#rooms.set(neuron, withTenant(emptied, placedTenant(model, choice.shares)));
    this.#arrivals.push({ modelId: model.block.id, neuron, shares: choice.shares });
  }

  #displace(victim: Tenant, neuron: string, inFavourOf: string): void {
    const { modelId } = victim;
    this.#arrivals = this.#arrivals.filter((row) => row.modelId !== modelId || row.neuron !== neuron);
    const isPresent = this.#input.copies.some(
      (copy) =>
        copy.resident.id === modelId && copy.neuron.name === neuron && copy.standing.kind !== "leaves",
    );
    if (isPresent) this.#displaced.push({ modelId, neuron, inFavourOf });
    const model = this.#input.desired.get(modelId);
    if (victim.rank !== "resident" || model === undefined) return;
    const possibleNeurons = this.#possibleNeurons(model);
    this.#queue.push({ model, ordinal: 0, possibleNeurons, renews: undefined });
  }

  /** What found no place may still be on a neuron that does not answer; only the rest is known to be missing. */
  #unplaced(): UnplacedCopy[] {
    const models = [...new Set(this.#waiting.map(({ model }) => model))];
    return models
      .flatMap((model) => this.#unplacedCopies(model))
      .sort((left, right) => compareNames(left.model_id, right.model_id));
  }

  #unplacedCopies(model: DesiredModel): UnplacedCopy[] {
    const demands = this.#waiting.filter((demand) => demand.model === model);
    const missing = demands.filter(({ renews }) => renews === undefined).length;
    const outdated = demands.length - missing;
    const missing_replicas = demands.length - this.#claimUnknown(model, missing);
    if (missing_replicas === 0) return [];
    const refusals = this.#survey(model).refusals.map((refusal) => this.#refusalInPlace(refusal, demands));
    const remark = outdated > 0 ? "the running copy keeps its old settings; " : "";
    return [
      {
        model_id: model.block.id,
        missing_replicas,
        refusals: refusals.map(({ neuron, reason }) => ({ neuron, reason })),
        hint: remark + placementHint(model, refusals),
      },
    ];
  }

  /** Where a copy with old settings runs, the reason is why the new ones do not fit in its place. */
  #refusalInPlace(refusal: Refusal, demands: readonly Demand[]): Refusal {
    const demand = demands.find(({ renews }) => renews?.neuron.name === refusal.neuron);
    const room = this.#rooms.get(refusal.neuron);
    if (demand === undefined || room === undefined) return refusal;
    const others = room.tenants.filter((tenant) => tenant.modelId !== demand.model.block.id);
    const outcome = candidateOn(demand.model, { room: { ...room, tenants: others }, weight: 1 });
    return "reason" in outcome ? outcome : refusal;
  }
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

const compareNames = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);
