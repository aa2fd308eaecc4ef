import { onceFor } from "../../../core/once-for.ts";
import { compareText } from "../../../core/order.ts";
import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import { loadedByCortex, type DesiredModel } from "../../intent/desired-models.ts";
import type { JudgedCopy } from "../../intent/present-copies.ts";
import { foreignMemory, residentShares, type Shares } from "../../observe/device-memory.ts";
import { reachableNeurons } from "../../observe/observed-fleet.ts";
import type { PlacementInput, UnknownCopies } from "./placement.ts";
import { allowedNames, silentBlocks } from "./silent-neurons.ts";
import { stableHash } from "./stable-hash.ts";
import { standingFailure } from "./standing-checks.ts";
import {
  at,
  byNo,
  figures,
  flagsOf,
  itemAt,
  type ApplicantNo,
  type DeviceNo,
  type ModelNo,
  type NeuronNo,
} from "./numbers.ts";
import {
  deviceNo,
  shareAt,
  type Applicant,
  type FixedTenant,
  type Guest,
  type Place,
  type PlacementProblem,
  type ProblemDevice,
  type ProblemModel,
  type ProblemNeuron,
} from "./problem.ts";

/** Counts through what there is and what is wanted. */
export function placementProblem(input: PlacementInput): PlacementProblem {
  return new ProblemBuilder(input).build();
}

class ProblemBuilder {
  readonly #input: PlacementInput;
  readonly #neurons: PlacementProblem["neurons"];
  readonly #numberOf: ReadonlyMap<string, NeuronNo>;
  readonly #copies: ReadonlyMap<string, readonly JudgedCopy[]>;
  readonly #held = new Map<string, ReadonlyMap<string, Shares>>();
  readonly #openSets = new Map<string, OpenSet>();
  readonly #silent: readonly NeuronBlock[];
  readonly #applicants: Applicant[] = [];
  readonly #claimed: UnknownCopies[] = [];

  constructor(input: PlacementInput) {
    this.#input = input;
    this.#neurons = numberedNeurons(input);
    this.#numberOf = new Map(this.#neurons.map(({ name }, neuron) => [name, neuron]));
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
      .map((desired, number) => this.#model(desired, number as ModelNo));
    const onDemand = sorted
      .filter(({ block, need }) => block.replicas === 0 && need.mib !== undefined)
      .map((desired) => this.#outline(desired));
    const fixed = this.#fixedTenants();
    const guests = this.#guests();
    return {
      input: this.#input,
      neurons: this.#neurons,
      devices: byNo(this.#devices(fixed)),
      singles: byNo(
        this.#neurons.map(({ firstDevice, deviceCount }) =>
          Array.from({ length: deviceCount }, (_, position) => [deviceNo(firstDevice, position)]),
        ),
      ),
      models: byNo(models),
      applicants: byNo(this.#applicants),
      guests: byNo(guests),
      classes: ranksOfClasses([...models, ...guests]),
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
      mib: desired.need.mib ?? 0,
      sizeKnown: desired.need.mib !== undefined,
      floorMib: desired.floor.minDeviceMib,
      open,
      openCount,
      hash: stableHash(id),
      applicants: [],
      closed: new Set(copies.filter(isLeftAlone).flatMap((copy) => this.#placeOf(copy).place?.neuron ?? [])),
      preferred: this.#preferredDevices(copies, width),
    };
  }

  #model(desired: DesiredModel, model: ModelNo): ProblemModel {
    const outline = this.#outline(desired);
    const applicants: ApplicantNo[] = [];
    const apply = (applicant: Omit<Applicant, "model">): void => {
      applicants.push(this.#applicants.length as ApplicantNo);
      this.#applicants.push({ model, ...applicant });
    };
    const { replicas, protect } = desired.block;
    const present = (this.#copies.get(outline.id) ?? [])
      .filter(({ standing }) => standing.kind === "kept")
      .toSorted((left, right) => compareText(left.neuron.name, right.neuron.name));
    for (const copy of present) {
      const { place } = this.#placeOf(copy);
      if (place === undefined) continue;
      const current = copy.standing.kind === "kept" && copy.standing.current;
      const movable = !protect && loadedByCortex(copy.resident);
      apply({ home: { place, current, copy }, movable, ordinal: applicants.length });
    }
    const missing = replicas - present.length;
    const claims = desired.block.pinned_on.length > 0 ? this.#claim(desired, missing) : 0;
    for (let ordinal = present.length + claims; ordinal < replicas; ordinal += 1) {
      apply({ home: null, movable: true, ordinal });
    }
    return { ...outline, applicants };
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
    if (claims > 0) this.#claimed.push({ modelId: desired.block.id, replicas: claims, neurons });
    return claims;
  }

  /** Neurons that standing checks allow; pins are few, so only those are looked up. */
  #openTo(desired: DesiredModel): OpenSet {
    const { pinned_on: pins, harness, min_devices: width, min_device_vram_mb: floor } = desired.block;
    const unpinned = this.#openSet(`${harness} ${width} ${floor ?? 0}`, () => {
      const anywhere = { ...desired, block: { ...desired.block, pinned_on: [] } };
      return flagsOf(
        this.#neurons,
        ({ block, observed }) => standingFailure(anywhere, block, observed) === undefined,
      );
    });
    if (pins.length === 0) return unpinned;
    return this.#openSet(`${harness} ${width} ${floor ?? 0} ${JSON.stringify(pins.toSorted())}`, () => {
      const open = new Uint8Array(this.#neurons.length);
      for (const pin of pins) {
        const neuron = this.#numberOf.get(pin);
        if (neuron !== undefined) open[neuron] = at(unpinned.open, neuron);
      }
      return figures(open);
    });
  }

  #openSet(key: string, make: () => ProblemModel["open"]): OpenSet {
    const known = this.#openSets.get(key);
    if (known !== undefined) return known;
    const open = make();
    const made = { open, openCount: open.reduce((total, flag) => total + flag, 0) };
    this.#openSets.set(key, made);
    return made;
  }

  /** Asked of each copy several times. */
  readonly #placeOf = onceFor((copy: JudgedCopy): { readonly place: Place | undefined } => ({
    place: this.#whereIs(copy),
  }));

  #whereIs(copy: JudgedCopy): Place | undefined {
    const neuron = this.#numberOf.get(copy.neuron.name);
    if (neuron === undefined) return undefined;
    const { firstDevice } = itemAt(this.#neurons, neuron);
    const shares = this.#held.get(copy.neuron.name)?.get(copy.resident.id);
    const held = copy.neuron.discovery.devices.flatMap(({ index }, position) => {
      const mib = shares?.get(index);
      return mib === undefined ? [] : [{ device: deviceNo(firstDevice, position), mib }];
    });
    return { neuron, devices: held.map(({ device }) => device), mib: held.map(({ mib }) => mib) };
  }

  #preferredDevices(copies: readonly JudgedCopy[], width: number): ProblemModel["preferred"] {
    const places = copies.flatMap((copy) => this.#placeOf(copy).place ?? []);
    return new Map(
      places
        .filter(({ devices }) => devices.length === width)
        .map(({ neuron, devices }) => [neuron, devices] as const),
    );
  }

  #fixedTenants(): FixedTenant[] {
    return this.#input.copies.flatMap((copy) => {
      const because = fixedBecause(copy);
      const { place } = this.#placeOf(copy);
      if (because === undefined || place === undefined) return [];
      return [{ modelId: copy.resident.id, priority: copy.model?.priority ?? 0, because, place }];
    });
  }

  #guests(): Guest[] {
    return this.#input.copies
      .filter((copy) => copy.standing.kind === "on_demand" && fixedBecause(copy) === undefined)
      .flatMap((copy) => {
        const { place } = this.#placeOf(copy);
        if (place === undefined) return [];
        const { id: modelId, last_used_ms: lastUsedMs } = copy.resident;
        return [{ modelId, priority: copy.model?.priority ?? 0, lastUsedMs: lastUsedMs ?? 0, place }];
      })
      .sort(
        (left, right) => left.place.neuron - right.place.neuron || compareText(left.modelId, right.modelId),
      );
  }

  #devices(fixed: readonly FixedTenant[]): ProblemDevice[] {
    const taken = new Map<DeviceNo, number>();
    for (const { place } of fixed) {
      for (const [position, device] of place.devices.entries())
        taken.set(device, (taken.get(device) ?? 0) + shareAt(place, position));
    }
    const headroom = this.#input.options?.headroomMib ?? 0;
    return this.#neurons.flatMap(({ observed, firstDevice }, neuron) => {
      const foreign = foreignMemory(observed);
      return observed.discovery.devices.map(({ index, vram_total_mb: totalMib, part_of: card }, position) => {
        const foreignMib = foreign.get(index) ?? 0;
        const away = headroom + foreignMib + (taken.get(deviceNo(firstDevice, position)) ?? 0);
        return { neuron, index, totalMib, isPart: card !== undefined, foreignMib, roomMib: totalMib - away };
      });
    });
  }
}

function ranksOfClasses(members: readonly { readonly priority: number }[]): PlacementProblem["classes"] {
  const classes = new Set(members.map(({ priority }) => priority));
  return new Map(
    [...classes].sort((left, right) => right - left).map((priority, rank) => [priority, rank] as const),
  );
}

function numberedNeurons(input: PlacementInput): PlacementProblem["neurons"] {
  const blocks = new Map(input.fleet.neurons.map((block) => [block.name, block]));
  let devices = 0;
  const neurons = reachableNeurons(input.observed)
    .toSorted((left, right) => compareText(left.name, right.name))
    .flatMap((observed) => {
      const block = blocks.get(observed.name);
      if (block === undefined) return [];
      const deviceCount = observed.discovery.devices.length;
      const neuron: ProblemNeuron = {
        name: block.name,
        block,
        observed,
        firstDevice: devices as DeviceNo,
        deviceCount,
        hash: stableHash(block.name),
      };
      devices += deviceCount;
      return [neuron];
    });
  return byNo(neurons);
}

interface OpenSet {
  readonly open: ProblemModel["open"];
  readonly openCount: number;
}

const isLeftAlone = ({ standing }: JudgedCopy): boolean => standing.kind === "left_alone";

/** Undefined for copies that may be asked to leave, leave anyway, or are applicants themselves. */
function fixedBecause({ standing, resident, model }: JudgedCopy): FixedTenant["because"] | undefined {
  if (standing.kind === "left_alone") return standing.because;
  if (standing.kind !== "on_demand") return undefined;
  if (model?.block.protect === true) return "protected";
  return loadedByCortex(resident) ? undefined : "loaded_by_hand";
}
