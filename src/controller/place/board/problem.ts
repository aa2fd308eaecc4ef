import { compareText } from "../../../core/order.ts";
import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import type { UnknownCopy } from "../../../protocol/plan-document.ts";
import { loadedByCortex, type DesiredModel } from "../../intent/desired-models.ts";
import { foreignMemory, residentShares, type Shares } from "../../observe/device-memory.ts";
import { reachableNeurons, type ReachableNeuron } from "../../observe/observed-fleet.ts";
import { standingFailure } from "./standing-checks.ts";
import type { PlacementInput } from "./placement.ts";
import type { JudgedCopy } from "../../intent/present-copies.ts";
import { stableHash } from "./stable-hash.ts";

/*
 * The question of placement in numbers: neurons, devices, models, copies and guests are counted through in the order
 * of their names, so whatever works on them gives the same answer in whatever order files and neurons were read.
 */

/** Devices by their number in the problem, ascending, and what is held on each. */
export interface Place {
  readonly neuron: number;
  readonly devices: readonly number[];
  readonly mib: readonly number[];
}

export interface ProblemNeuron {
  readonly name: string;
  readonly block: NeuronBlock;
  readonly observed: ReachableNeuron;
  readonly firstDevice: number;
  readonly deviceCount: number;
  readonly hash: number;
}

export interface ProblemDevice {
  readonly neuron: number;
  /** As the neuron counts it. */
  readonly index: number;
  readonly totalMib: number;
  /** Held by processes that are no models of the neuron. */
  readonly foreignMib: number;
  /** What is left when headroom, other processes and models that nobody may unload are taken off. */
  readonly roomMib: number;
}

export interface ProblemModel {
  readonly id: string;
  readonly desired: DesiredModel;
  readonly priority: number;
  readonly width: number;
  readonly mib: number;
  readonly sizeKnown: boolean;
  readonly floorMib: number;
  /** 1 for each neuron that may hold it as far as memory allows. Models with the same requirements share the array. */
  readonly open: Uint8Array;
  readonly openCount: number;
  readonly hash: number;
  /** Its copies, as numbers of the problem's applicants. */
  readonly applicants: number[];
  /** Neurons on which a copy stays that the plan does not manage: there is no room for another. */
  readonly closed: ReadonlySet<number>;
  /** Where a copy leaves or is renewed, its devices are tried first. */
  readonly preferred: ReadonlyMap<number, readonly number[]>;
}

/** One wanted copy that asks for a place, or to keep the one it has. */
export interface Applicant {
  readonly model: number;
  readonly ordinal: number;
  /** Where it is loaded now. */
  readonly home: { readonly place: Place; readonly current: boolean; readonly copy: JudgedCopy } | null;
  /** False: `protect` holds it where it is. */
  readonly movable: boolean;
}

/** A present copy of a model on demand: it has a place, and may be asked to leave it. */
export interface Guest {
  readonly modelId: string;
  readonly priority: number;
  readonly lastUsedMs: number;
  readonly place: Place;
}

/** Somebody who stays whatever happens. */
export interface FixedTenant {
  readonly modelId: string;
  readonly priority: number;
  readonly because: "protected" | "loaded_by_hand";
  readonly place: Place;
}

export interface PlacementProblem {
  readonly input: PlacementInput;
  readonly neurons: readonly ProblemNeuron[];
  readonly devices: readonly ProblemDevice[];
  /** Every device of a neuron on its own, by neuron. */
  readonly singles: readonly (readonly (readonly number[])[])[];
  readonly models: readonly ProblemModel[];
  readonly applicants: readonly Applicant[];
  readonly guests: readonly Guest[];
  readonly fixed: readonly FixedTenant[];
  /** Models on demand: room should be left for them. */
  readonly onDemand: readonly ProblemModel[];
  /** Everything that is loaded, by model. */
  readonly copiesOf: ReadonlyMap<string, readonly JudgedCopy[]>;
  /** Copies that may be on silent neurons and are therefore no applicants. */
  readonly claimed: readonly UnknownCopy[];
}

export function placementProblem(input: PlacementInput): PlacementProblem {
  return new ProblemBuilder(input).build();
}

class ProblemBuilder {
  readonly #input: PlacementInput;
  readonly #neurons: ProblemNeuron[];
  readonly #numberOf: ReadonlyMap<string, number>;
  readonly #copies: ReadonlyMap<string, readonly JudgedCopy[]>;
  readonly #held = new Map<string, ReadonlyMap<string, Shares>>();
  readonly #openSets = new Map<string, OpenSet>();
  readonly #silent: readonly NeuronBlock[];
  readonly #applicants: Applicant[] = [];
  readonly #claimed: UnknownCopy[] = [];

  constructor(input: PlacementInput) {
    this.#input = input;
    this.#neurons = numberedNeurons(input);
    this.#numberOf = new Map(this.#neurons.map(({ name }, number) => [name, number]));
    this.#silent = silentBlocks(input);
    this.#copies = Map.groupBy(input.copies, (copy) => copy.resident.id);
    for (const { name, observed } of this.#neurons) this.#held.set(name, residentShares(observed));
  }

  build(): PlacementProblem {
    const sorted = [...this.#input.desired.values()].sort((left, right) =>
      compareText(left.block.id, right.block.id),
    );
    const models = sorted
      .filter(({ block }) => block.replicas > 0)
      .map((desired, number) => this.#model(desired, number));
    const onDemand = sorted
      .filter(({ block, need }) => block.replicas === 0 && need.footprintMb !== undefined)
      .map((desired) => this.#outline(desired));
    const fixed = this.#fixedTenants();
    return {
      input: this.#input,
      neurons: this.#neurons,
      devices: this.#devices(fixed),
      singles: this.#neurons.map(({ firstDevice, deviceCount }) =>
        Array.from({ length: deviceCount }, (_, position) => [firstDevice + position]),
      ),
      models,
      applicants: this.#applicants,
      guests: this.#guests(),
      fixed,
      onDemand,
      copiesOf: this.#copies,
      claimed: this.#claimed,
    };
  }

  #outline(desired: DesiredModel): ProblemModel {
    const { id, min_devices: width } = desired.block;
    const { open, openCount } = this.#openTo(desired);
    const copies = this.#copies.get(id) ?? [];
    return {
      id,
      desired,
      priority: desired.priority,
      width,
      mib: desired.need.footprintMb ?? 0,
      sizeKnown: desired.need.footprintMb !== undefined,
      floorMib: desired.need.minDeviceVramMb,
      open,
      openCount,
      hash: stableHash(id),
      applicants: [],
      closed: new Set(copies.filter(isLeftAlone).flatMap((copy) => this.#placeOf(copy)?.neuron ?? [])),
      preferred: this.#preferredDevices(copies, width),
    };
  }

  #model(desired: DesiredModel, number: number): ProblemModel {
    const model = this.#outline(desired);
    const { replicas, protect } = desired.block;
    const present = (this.#copies.get(model.id) ?? [])
      .filter(({ standing }) => standing.kind === "kept")
      .toSorted((left, right) => compareText(left.neuron.name, right.neuron.name));
    for (const copy of present) {
      const place = this.#placeOf(copy);
      if (place === undefined) continue;
      const current = copy.standing.kind === "kept" && copy.standing.current;
      this.#applicant(model, {
        model: number,
        home: { place, current, copy },
        movable: !protect,
        ordinal: model.applicants.length,
      });
    }
    const missing = replicas - present.length;
    const claims = desired.block.pinned_on.length > 0 ? this.#claim(desired, missing) : 0;
    for (let ordinal = present.length + claims; ordinal < replicas; ordinal += 1) {
      this.#applicant(model, { model: number, home: null, movable: true, ordinal });
    }
    return model;
  }

  #applicant(model: ProblemModel, applicant: Applicant): void {
    model.applicants.push(this.#applicants.length);
    this.#applicants.push(applicant);
  }

  /**
   * How many of the missing copies may be on neurons that do not answer. A pinned model is asked about before
   * anything is placed: loading it on another of its neurons would be a move made in the dark, so the copy keeps its
   * claim until the neuron answers, is drained, or leaves the pins. Any other model is placed on the neurons that
   * answer, and only what found no place there is asked about.
   */
  #claim(desired: DesiredModel, missing: number): number {
    const neurons = allowedNames(this.#silent, desired);
    const claims = Math.min(Math.max(0, missing), neurons.length);
    if (claims > 0) this.#claimed.push({ model_id: desired.block.id, replicas: claims, neurons });
    return claims;
  }

  /** Neurons that standing checks allow; pins are few, so only those are looked up. */
  #openTo(desired: DesiredModel): OpenSet {
    const { pinned_on: pins, harness, min_devices: width, min_device_vram_mb: floor } = desired.block;
    const unpinned = this.#openSet(`${harness} ${width} ${floor ?? 0}`, () => {
      const anywhere = { ...desired, block: { ...desired.block, pinned_on: [] } };
      return Uint8Array.from(this.#neurons, ({ block, observed }) =>
        standingFailure(anywhere, block, observed) === undefined ? 1 : 0,
      );
    });
    if (pins.length === 0) return unpinned;
    return this.#openSet(`${harness} ${width} ${floor ?? 0} ${JSON.stringify(pins.toSorted())}`, () => {
      const open = new Uint8Array(this.#neurons.length);
      for (const pin of pins) {
        const neuron = this.#numberOf.get(pin);
        if (neuron !== undefined) open[neuron] = unpinned.open[neuron] ?? 0;
      }
      return open;
    });
  }

  #openSet(key: string, make: () => Uint8Array): OpenSet {
    const known = this.#openSets.get(key);
    if (known !== undefined) return known;
    const open = make();
    const made = { open, openCount: open.reduce((total, flag) => total + flag, 0) };
    this.#openSets.set(key, made);
    return made;
  }

  #placeOf(copy: JudgedCopy): Place | undefined {
    const neuron = this.#numberOf.get(copy.neuron.name);
    if (neuron === undefined) return undefined;
    const first = this.#neurons[neuron]?.firstDevice ?? 0;
    const devices = copy.neuron.discovery.devices;
    const shares = this.#held.get(copy.neuron.name)?.get(copy.resident.id) ?? new Map<number, number>();
    const held = devices
      .map(({ index }, position) => ({ device: first + position, mib: shares.get(index) }))
      .filter(({ mib }) => mib !== undefined);
    return { neuron, devices: held.map(({ device }) => device), mib: held.map(({ mib }) => mib ?? 0) };
  }

  #preferredDevices(copies: readonly JudgedCopy[], width: number): ProblemModel["preferred"] {
    const places = copies.flatMap((copy) => this.#placeOf(copy) ?? []);
    return new Map(
      places
        .filter(({ devices }) => devices.length === width)
        .map(({ neuron, devices }) => [neuron, devices] as const),
    );
  }

  #fixedTenants(): FixedTenant[] {
    return this.#input.copies.flatMap((copy) => {
      const because = fixedBecause(copy);
      const place = this.#placeOf(copy);
      if (because === undefined || place === undefined) return [];
      return [{ modelId: copy.resident.id, priority: copy.model?.priority ?? 0, because, place }];
    });
  }

  #guests(): Guest[] {
    return this.#input.copies
      .filter((copy) => copy.standing.kind === "on_demand" && fixedBecause(copy) === undefined)
      .flatMap((copy) => {
        const place = this.#placeOf(copy);
        if (place === undefined) return [];
        const { id: modelId, last_used_ms: lastUsedMs } = copy.resident;
        return [{ modelId, priority: copy.model?.priority ?? 0, lastUsedMs: lastUsedMs ?? 0, place }];
      })
      .sort(
        (left, right) => left.place.neuron - right.place.neuron || compareText(left.modelId, right.modelId),
      );
  }

  #devices(fixed: readonly FixedTenant[]): ProblemDevice[] {
    const taken = new Map<number, number>();
    for (const { place } of fixed) {
      for (const [position, device] of place.devices.entries())
        taken.set(device, (taken.get(device) ?? 0) + (place.mib[position] ?? 0));
    }
    const headroom = this.#input.options?.headroomMib ?? 0;
    return this.#neurons.flatMap(({ observed, firstDevice }, neuron) => {
      const foreign = foreignMemory(observed);
      return observed.discovery.devices.map(({ index, vram_total_mb: totalMib }, position) => {
        const foreignMib = foreign.get(index) ?? 0;
        const away = headroom + foreignMib + (taken.get(firstDevice + position) ?? 0);
        return { neuron, index, totalMib, foreignMib, roomMib: totalMib - away };
      });
    });
  }
}

function numberedNeurons(input: PlacementInput): ProblemNeuron[] {
  const blocks = new Map(input.fleet.neurons.map((block) => [block.name, block]));
  let firstDevice = 0;
  return reachableNeurons(input.observed)
    .toSorted((left, right) => compareText(left.name, right.name))
    .flatMap((observed) => {
      const block = blocks.get(observed.name);
      if (block === undefined) return [];
      const deviceCount = observed.discovery.devices.length;
      const neuron = {
        name: block.name,
        block,
        observed,
        firstDevice,
        deviceCount,
        hash: stableHash(block.name),
      };
      firstDevice += deviceCount;
      return [neuron];
    });
}

/** Declared neurons that did not answer and are not given up. */
function silentBlocks(input: Pick<PlacementInput, "fleet" | "observed">): NeuronBlock[] {
  const answering = new Set(reachableNeurons(input.observed).map(({ name }) => name));
  return input.fleet.neurons.filter(({ name, drain }) => !drain && !answering.has(name));
}

const allowedNames = (
  blocks: readonly NeuronBlock[],
  { block: { pinned_on: pins } }: DesiredModel,
): string[] =>
  blocks
    .filter(({ name }) => pins.length === 0 || pins.includes(name))
    .map(({ name }) => name)
    .toSorted(compareText);

/** Those among them that could hold a copy, by name. */
export const silentNeurons = (
  input: Pick<PlacementInput, "fleet" | "observed">,
  model: DesiredModel,
): string[] => allowedNames(silentBlocks(input), model);

interface OpenSet {
  readonly open: Uint8Array;
  readonly openCount: number;
}

const isLeftAlone = ({ standing }: JudgedCopy): boolean => standing.kind === "left_alone";

/** Undefined for copies that may be asked to leave, leave anyway, or are applicants themselves. */
function fixedBecause({ standing, resident, model }: JudgedCopy): FixedTenant["because"] | undefined {
  if (standing.kind === "left_alone") return "loaded_by_hand";
  if (standing.kind !== "on_demand") return undefined;
  if (model?.block.protect === true) return "protected";
  return loadedByCortex(resident) ? undefined : "loaded_by_hand";
}

/** The devices of a neuron by their number in the problem. */
export function devicesOf(problem: PlacementProblem, neuron: number): number[] {
  const { firstDevice, deviceCount } = problem.neurons[neuron] ?? { firstDevice: 0, deviceCount: 0 };
  return Array.from({ length: deviceCount }, (_, position) => firstDevice + position);
}

/** Every set of so many of the items. */
export function combinations(items: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, position) =>
    combinations(items.slice(position + 1), size - 1).map((rest) => [item, ...rest]),
  );
}
