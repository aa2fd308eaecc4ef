import { compareText } from "../../../core/order.ts";
import { at, type Board } from "./board.ts";
import { devicesOf, type Place, type ProblemModel } from "./problem.ts";

/** Somebody who holds memory on a neuron. */
export interface Holder {
  readonly modelId: string;
  readonly priority: number;
  readonly place: Place;
  readonly kind: "copy" | "guest" | "protected" | "loaded_by_hand";
  /** The applicant it is, for a declared copy. */
  readonly applicant: number | undefined;
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
export function holdersOn(board: Board, neuron: number): Holder[] {
  const { problem } = board;
  const copies = (board.hosted[neuron] ?? []).flatMap((applicant): Holder[] => {
    const place = board.places[applicant];
    const { id: modelId, priority } = board.modelOf(applicant);
    const isFixed = problem.applicants[applicant]?.movable === false;
    const kind = isFixed ? ("protected" as const) : ("copy" as const);
    return place === undefined ? [] : [{ modelId, priority, place, kind, applicant }];
  });
  const guests = (board.guestsAt[neuron] ?? []).flatMap((guest): Holder[] => {
    const entry = problem.guests[guest];
    if (entry === undefined || at(board.evicted, guest) === 1) return [];
    return [{ ...entry, kind: "guest", applicant: undefined }];
  });
  const fixed = problem.fixed
    .filter(({ place }) => place.neuron === neuron)
    .map(({ because, ...tenant }): Holder => ({ ...tenant, kind: because, applicant: undefined }));
  return [...copies, ...guests, ...fixed].sort(
    (left, right) => heldBy(right) - heldBy(left) || compareText(left.modelId, right.modelId),
  );
}

export const heldBy = ({ place }: Holder): number => place.mib.reduce((total, mib) => total + mib, 0);

/** Guests of the same class or lower and residents of a lower class give way. */
export const givesWay = (holder: Holder, priority: number): boolean =>
  (holder.kind === "guest" && holder.priority <= priority) ||
  (holder.kind === "copy" && holder.priority < priority);

export function roomFor(board: Board, model: ProblemModel, neuron: number): MemoryRoom {
  const obtainable = obtainableOn(board, model, neuron);
  const devices = widestDevices(board, { model, neuron }, obtainable) ?? devicesOf(board.problem, neuron);
  const staying = holdersOn(board, neuron)
    .filter((holder) => !givesWay(holder, model.priority))
    .map((holder) => ({ holder, mib: heldOn(holder, devices) }))
    .filter(({ mib }) => mib > 0)
    .toSorted(
      (left, right) => right.mib - left.mib || compareText(left.holder.modelId, right.holder.modelId),
    );
  return {
    availableMib: obtainableMib(board, model, neuron),
    capacityMib: capacityMib(board, model, neuron),
    staying,
    foreignMib: devices.reduce(
      (total, device) => total + (board.problem.devices[device]?.foreignMib ?? 0),
      0,
    ),
  };
}

const heldOn = ({ place }: Holder, devices: readonly number[]): number =>
  place.devices.reduce(
    (total, device, position) => total + (devices.includes(device) ? (place.mib[position] ?? 0) : 0),
    0,
  );

export const capacityMib = (board: Board, model: ProblemModel, neuron: number): number | null =>
  widest(board, { model, neuron }, (device) => board.problem.devices[device]?.totalMib ?? 0);

/** What is free on the best devices once all have left that give way. */
export const obtainableMib = (board: Board, model: ProblemModel, neuron: number): number | null =>
  widest(board, { model, neuron }, obtainableOn(board, model, neuron));

/** For each device: what is free there once all have left that give way. */
function obtainableOn(board: Board, model: ProblemModel, neuron: number): (device: number) => number {
  const { problem } = board;
  const returned = new Map<number, number>();
  const giveBack = (place: Place): void => {
    for (const [position, device] of place.devices.entries())
      returned.set(device, (returned.get(device) ?? 0) + (place.mib[position] ?? 0));
  };
  for (const applicant of board.hosted[neuron] ?? []) {
    const place = board.places[applicant];
    const yields =
      board.modelOf(applicant).priority < model.priority && problem.applicants[applicant]?.movable === true;
    if (yields && place !== undefined) giveBack(place);
  }
  for (const guest of board.guestsAt[neuron] ?? []) {
    const entry = problem.guests[guest];
    if (entry !== undefined && at(board.evicted, guest) === 0 && entry.priority <= model.priority)
      giveBack(entry.place);
  }
  return (device) => Math.max(0, at(board.free, device) + (returned.get(device) ?? 0));
}

/** What is free on the best devices once some have left. */
export function availableMib(
  board: Board,
  where: { readonly model: ProblemModel; readonly neuron: number },
  going: readonly Holder[],
): number | null {
  const returned = new Map<number, number>();
  for (const { place } of going) {
    for (const [position, device] of place.devices.entries())
      returned.set(device, (returned.get(device) ?? 0) + (place.mib[position] ?? 0));
  }
  return widest(board, where, (device) => Math.max(0, at(board.free, device) + (returned.get(device) ?? 0)));
}

/** The sum over as many eligible devices as the model wants, those with most first. */
export function widest(
  board: Board,
  where: { readonly model: ProblemModel; readonly neuron: number },
  mibOf: (device: number) => number,
): number | null {
  const devices = widestDevices(board, where, mibOf);
  return devices === null ? null : devices.reduce((total, device) => total + mibOf(device), 0);
}

/** As many eligible devices as the model wants, those with most first; null when there are too few. */
function widestDevices(
  board: Board,
  { model, neuron }: { readonly model: ProblemModel; readonly neuron: number },
  mibOf: (device: number) => number,
): readonly number[] | null {
  const eligible = devicesOf(board.problem, neuron)
    .filter((device) => (board.problem.devices[device]?.totalMib ?? 0) >= model.floorMib)
    .toSorted((left, right) => mibOf(right) - mibOf(left) || left - right);
  return eligible.length < model.width ? null : eligible.slice(0, model.width);
}

/** What a model needs at least on its devices together; something, even when its size is not known. */
export const leastMib = (model: ProblemModel): number => (model.sizeKnown ? model.mib : 1);
