import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import { present } from "../../../core/present.ts";
import type { DesiredModel } from "../../intent/desired-models.ts";
import type { JudgedCopy } from "../../intent/present-copies.ts";
import type { ReachableNeuron } from "../../observe/observed-fleet.ts";
import type { PlacementInput, UnknownCopies } from "./placement.ts";
import {
  itemAt,
  type ApplicantNo,
  type ByNo,
  type DeviceNo,
  type Figures,
  type GuestNo,
  type ModelNo,
  type NeuronNo,
} from "./numbers.ts";

/*
 * The question of placement in numbers: neurons, devices, models, copies and guests are counted through in the order
 * of their names, so whatever works on them gives the same answer in whatever order files and neurons were read.
 */

/** Devices by their number in the problem, ascending, and what is held on each. */
export interface Place {
  readonly neuron: NeuronNo;
  readonly devices: readonly DeviceNo[];
  readonly mib: readonly number[];
}

export interface ProblemNeuron {
  readonly name: string;
  readonly block: NeuronBlock;
  readonly observed: ReachableNeuron;
  readonly firstDevice: DeviceNo;
  readonly deviceCount: number;
  readonly hash: number;
}

export interface ProblemDevice {
  readonly neuron: NeuronNo;
  /** As the neuron counts it. */
  readonly index: number;
  readonly totalMib: number;
  /** Of a card (MIG): a model on it is on it alone. */
  readonly isPart: boolean;
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
  readonly open: Figures<NeuronNo>;
  readonly openCount: number;
  readonly hash: number;
  /** Its wanted copies, by their ordinals. */
  readonly applicants: readonly ApplicantNo[];
  /** Neurons on which a copy stays that the plan does not manage: there is no room for another. */
  readonly closed: ReadonlySet<NeuronNo>;
  /** Where a copy leaves or is renewed, its devices are tried first. */
  readonly preferred: ReadonlyMap<NeuronNo, readonly DeviceNo[]>;
}

/** A model, and a neuron on which a copy of it might go. */
export interface Prospect {
  readonly model: ProblemModel;
  readonly neuron: NeuronNo;
}

/** One wanted copy that asks for a place, or to keep the one it has. */
export interface Applicant {
  readonly model: ModelNo;
  readonly ordinal: number;
  /** Where it is loaded now. */
  readonly home: Home | null;
  /** False: it stays where it is, because of `protect` or because a person loaded it. */
  readonly movable: boolean;
}

/** Where a copy is loaded, and whether with the declared settings. */
export interface Home {
  readonly place: Place;
  readonly current: boolean;
  readonly copy: JudgedCopy;
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
  readonly because: "protected" | "loaded_by_hand" | "other_fleet";
  readonly place: Place;
}

export interface PlacementProblem {
  readonly input: PlacementInput;
  readonly neurons: ByNo<NeuronNo, ProblemNeuron>;
  readonly devices: ByNo<DeviceNo, ProblemDevice>;
  /** Every device of a neuron on its own. */
  readonly singles: ByNo<NeuronNo, readonly (readonly DeviceNo[])[]>;
  readonly models: ByNo<ModelNo, ProblemModel>;
  readonly applicants: ByNo<ApplicantNo, Applicant>;
  readonly guests: ByNo<GuestNo, Guest>;
  /** The rank of each class that is declared or loaded; 0: the highest. */
  readonly classes: ReadonlyMap<number, number>;
  readonly fixed: readonly FixedTenant[];
  /** Models on demand: room should be left for them. */
  readonly onDemand: readonly ProblemModel[];
  /** Everything that is loaded, by model. */
  readonly copiesOf: ReadonlyMap<string, readonly JudgedCopy[]>;
  /** Copies that may be on silent neurons and are therefore no applicants. */
  readonly claimed: readonly UnknownCopies[];
}

/** What a place holds on the device at this position of its devices. */
export const shareAt = ({ mib }: Pick<Place, "mib">, position: number): number =>
  present(mib[position], "the share of a device", position);

/** The devices of a neuron by their number in the problem. */
export function devicesOf(problem: PlacementProblem, neuron: NeuronNo): DeviceNo[] {
  const { firstDevice, deviceCount } = itemAt(problem.neurons, neuron);
  return Array.from({ length: deviceCount }, (_, position) => deviceNo(firstDevice, position));
}

/** Those on which a model may go at all. */
export function eligibleOn(problem: PlacementProblem, { model, neuron }: Prospect): DeviceNo[] {
  return devicesOf(problem, neuron).filter((device) => mayBeOn(itemAt(problem.devices, device), model));
}

/** A model that is spread is on whole devices alone. */
export const mayBeOn = (
  { totalMib, isPart }: ProblemDevice,
  { width, floorMib }: Pick<ProblemModel, "width" | "floorMib">,
): boolean => totalMib >= floorMib && (width === 1 || !isPart);

/** The device at this position of its neuron's. */
export const deviceNo = (firstDevice: DeviceNo, position: number): DeviceNo =>
  (firstDevice + position) as DeviceNo;

/** Every set of so many of the items. */
export function combinations<Item>(items: readonly Item[], size: number): Item[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, position) =>
    combinations(items.slice(position + 1), size - 1).map((rest) => [item, ...rest]),
  );
}
