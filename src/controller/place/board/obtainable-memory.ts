import { compareText } from "../../../core/order.ts";
import type { Board } from "./board.ts";
import {
  at,
  figures,
  itemAt,
  next,
  type ApplicantNo,
  type DeviceNo,
  type Figures,
  type NeuronNo,
} from "./numbers.ts";
import { loadedByCortex } from "../../intent/desired-models.ts";
import {
  devicesOf,
  eligibleOn,
  mayBeOn,
  shareAt,
  type Applicant,
  type FixedTenant,
  type Place,
  type ProblemModel,
  type Prospect,
} from "./problem.ts";

/** Somebody who holds memory on a neuron. */
export interface Holder {
  readonly modelId: string;
  readonly priority: number;
  readonly place: Place;
  readonly kind: "copy" | "guest" | FixedTenant["because"];
  /** Its number, for a declared copy. */
  readonly applicant: ApplicantNo | undefined;
}

/** What a neuron could give to a model if all gave way that would have to. */
export interface MemoryRoom {
  /** On the devices that are best for it; null when too few devices will do. */
  readonly availableMib: number | null;
  /** The same on an empty neuron. */
  readonly capacityMib: number | null;
  /** Those who do not give way, with what they hold on these devices; the largest first. */
  readonly staying: readonly { readonly holder: Holder; readonly mib: number }[];
  /** What other processes hold on these devices. */
  readonly foreignMib: number;
}

/** Everybody on a neuron, the largest first. */
export function holdersOn(board: Board, neuron: NeuronNo): Holder[] {
  const { problem } = board;
  const copies = itemAt(board.hosted, neuron).flatMap((applicant): Holder[] => {
    const place = board.places[applicant];
    const { id: modelId, priority } = board.modelOf(applicant);
    const kind = kindOf(itemAt(problem.applicants, applicant));
    return place === undefined ? [] : [{ modelId, priority, place, kind, applicant }];
  });
  const guests = itemAt(board.guestsAt, neuron).flatMap((guest): Holder[] => {
    if (at(board.evicted, guest) === 1) return [];
    return [{ ...itemAt(problem.guests, guest), kind: "guest", applicant: undefined }];
  });
  const fixed = problem.fixed
    .filter(({ place }) => place.neuron === neuron)
    .map(({ because, ...tenant }): Holder => ({ ...tenant, kind: because, applicant: undefined }));
  return [...copies, ...guests, ...fixed].sort(
    (left, right) => heldBy(right) - heldBy(left) || compareText(left.modelId, right.modelId),
  );
}

function kindOf({ home, movable }: Applicant): Holder["kind"] {
  if (movable) return "copy";
  return home === null || loadedByCortex(home.copy.resident) ? "protected" : "loaded_by_hand";
}

export const heldBy = ({ place }: Holder): number => place.mib.reduce((total, mib) => total + mib, 0);

/** Guests of the same class or lower and residents of a lower class give way. */
export const givesWay = (holder: Holder, priority: number): boolean =>
  (holder.kind === "guest" && holder.priority <= priority) ||
  (holder.kind === "copy" && holder.priority < priority);

export function roomFor(board: Board, prospect: Prospect): MemoryRoom {
  const { model, neuron } = prospect;
  const obtainable = obtainableOn(board, prospect);
  const devices = widestDevices(board, prospect, obtainable) ?? devicesOf(board.problem, neuron);
  const staying = holdersOn(board, neuron)
    .filter((holder) => !givesWay(holder, model.priority))
    .map((holder) => ({ holder, mib: heldOn(holder, devices) }))
    .filter(({ mib }) => mib > 0)
    .toSorted(
      (left, right) => right.mib - left.mib || compareText(left.holder.modelId, right.holder.modelId),
    );
  return {
    availableMib: obtainableMib(board, prospect),
    capacityMib: capacityMib(board, prospect),
    staying,
    foreignMib: devices.reduce(
      (total, device) => total + itemAt(board.problem.devices, device).foreignMib,
      0,
    ),
  };
}

const heldOn = ({ place }: Holder, devices: readonly DeviceNo[]): number =>
  place.devices.reduce(
    (total, device, position) => total + (devices.includes(device) ? shareAt(place, position) : 0),
    0,
  );

export const capacityMib = (board: Board, prospect: Prospect): number | null =>
  widest(board, prospect, (device) => itemAt(board.problem.devices, device).totalMib);

/**
 * For every device of the fleet: what is free there once all have left that give way to a class. Whoever asks about every
 * neuron, as explanations do over and over, asks this once.
 */
export function obtainableByDevice(board: Board, priority: number): Figures<DeviceNo> {
  const { problem } = board;
  const mib = Int32Array.from(board.free);
  const add = (place: Place): void => {
    for (const [position, device] of place.devices.entries())
      mib[device] = (mib[device] as number) + shareAt(place, position);
  };
  for (const [applicant, { movable }] of problem.applicants.entries()) {
    const place = board.places[applicant];
    if (place !== undefined && movable && board.modelOf(applicant).priority < priority) add(place);
  }
  for (const [guest, { priority: its, place }] of problem.guests.entries())
    if (at(board.evicted, guest) === 0 && its <= priority) add(place);
  return figures(mib);
}

/** What is free on the best devices of a neuron, by what can be had on each. */
export const widestFree = (board: Board, prospect: Prospect, obtainable: Figures<DeviceNo>): number | null =>
  widest(board, prospect, (device) => Math.max(0, at(obtainable, device)));

/** What is free on the best devices once all have left that give way. */
const obtainableMib = (board: Board, prospect: Prospect): number | null =>
  widest(board, prospect, obtainableOn(board, prospect));

/** For each device: what is free there once all have left that give way. */
function obtainableOn(board: Board, { model, neuron }: Prospect): (device: DeviceNo) => number {
  const { problem } = board;
  const leaving: Place[] = [];
  for (const applicant of itemAt(board.hosted, neuron)) {
    const place = board.places[applicant];
    const yields =
      board.modelOf(applicant).priority < model.priority && itemAt(problem.applicants, applicant).movable;
    if (yields && place !== undefined) leaving.push(place);
  }
  for (const guest of itemAt(board.guestsAt, neuron)) {
    const { priority, place } = itemAt(problem.guests, guest);
    if (at(board.evicted, guest) === 0 && priority <= model.priority) leaving.push(place);
  }
  return freeWithout(board, leaving);
}

/** For each device: what is free there once these places are free. */
function freeWithout(board: Board, leaving: readonly Place[]): (device: DeviceNo) => number {
  const returned = new Map<DeviceNo, number>();
  for (const place of leaving) {
    for (const [position, device] of place.devices.entries())
      returned.set(device, (returned.get(device) ?? 0) + shareAt(place, position));
  }
  return (device) => Math.max(0, at(board.free, device) + (returned.get(device) ?? 0));
}

/** What is free on the best devices once some have left. */
export const availableMib = (board: Board, prospect: Prospect, going: readonly Holder[]): number | null =>
  widest(
    board,
    prospect,
    freeWithout(
      board,
      going.map(({ place }) => place),
    ),
  );

/** The sum over as many eligible devices as the model wants, those with most first; null when there are too few. */
export function widest(
  { problem }: Board,
  { model, neuron }: Prospect,
  mibOf: (device: DeviceNo) => number,
): number | null {
  const { firstDevice, deviceCount } = itemAt(problem.neurons, neuron);
  const found: number[] = [];
  const isAnywhere = model.width === 1 && model.floorMib === 0;
  for (let device = firstDevice; device < firstDevice + deviceCount; device = next(device))
    if (isAnywhere || mayBeOn(itemAt(problem.devices, device), model)) found.push(mibOf(device));
  const { width } = model;
  if (found.length < width) return null;
  found.sort((left, right) => right - left);
  let total = 0;
  for (let position = 0; position < width; position += 1) total += found[position] as number;
  return total;
}

/** As many eligible devices as the model wants, those with most first; null when there are too few. */
function widestDevices(
  board: Board,
  prospect: Prospect,
  mibOf: (device: DeviceNo) => number,
): readonly DeviceNo[] | null {
  const { width } = prospect.model;
  const eligible = eligibleOn(board.problem, prospect).sort(
    (left, right) => mibOf(right) - mibOf(left) || left - right,
  );
  return eligible.length < width ? null : eligible.slice(0, width);
}

/** Whether so much on the best devices will do; null is what too few devices have. */
export const isEnough = (mib: number | null, model: ProblemModel): boolean =>
  mib !== null && mib >= leastMib(model);

/** What a model needs at least on its devices together; something, even when its size is not known. */
export const leastMib = (model: ProblemModel): number => (model.sizeKnown ? model.mib : 1);
