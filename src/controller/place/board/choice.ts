import { present } from "../../../core/present.ts";
import type { Board } from "./board.ts";
import type { OnDemandRoom } from "./on-demand-room.ts";
import { mixHashes } from "./stable-hash.ts";
import { at, itemAt, next, type ApplicantNo, type DeviceNo, type NeuronNo } from "./numbers.ts";
import { mayBeOn, type Place, type ProblemModel, type ProblemNeuron, type Prospect } from "./problem.ts";

/** "spread": where most is free, so that models share as little as possible. "tight": where least is left over. */
export type Style = "spread" | "tight";

/** A way to put a copy on a neuron. */
export interface Choice {
  readonly place: Place;
  readonly freeAfterMib: number;
  /** Models on demand for which this was the last place. */
  readonly costsRoomOf: number;
}

export interface ChoiceOptions {
  readonly style: Style;
  readonly room?: OnDemandRoom | undefined;
}

/** The best place that is free, on any neuron that may hold the copy. */
export function bestChoice(board: Board, applicant: ApplicantNo, options: ChoiceOptions): Choice | undefined {
  const model = board.modelOf(applicant);
  const { ordinal } = itemAt(board.problem.applicants, applicant);
  // A model of unknown size takes what it takes: it is safest where most is free.
  const style = model.sizeKnown ? options.style : "spread";
  const order = new ChoiceOrder(board, { model, ordinal, style });
  if (model.width === 1 && options.room?.isWatching !== true) return bestDevice(board, order);
  let best: Choice | undefined;
  for (const neuron of board.problem.neurons.keys()) {
    const prospect = { model, neuron };
    if (!isOpenTo(board, prospect) || !mayFit(board, model, neuron)) continue;
    best = order.better(best, choiceOn(board, prospect, { ...options, style }));
  }
  return best;
}

/** The same for a copy on one device, without looking at every device. */
function bestDevice(board: Board, order: ChoiceOrder): Choice | undefined {
  const { model, style } = order.preference;
  const { byFree } = board;
  const lowest = byFree.drawerFor(model.sizeKnown ? model.mib : 1);
  let best: Choice | undefined;
  for (let step = 0; step < byFree.count - lowest && best === undefined; step += 1) {
    const drawer = style === "tight" ? lowest + step : byFree.count - 1 - step;
    for (const device of byFree.devicesIn(drawer))
      best = order.better(best, deviceChoice(board, model, device));
  }
  for (const neuron of model.preferred.keys()) {
    const prospect = { model, neuron };
    if (isOpenTo(board, prospect)) best = order.better(best, choiceOn(board, prospect, { style }));
  }
  return best;
}

/** Whether a copy may come to this neuron as far as anything but memory is concerned. */
const isOpenTo = (board: Board, { model, neuron }: Prospect): boolean =>
  at(model.open, neuron) === 1 && !board.hosts(model, neuron);

function deviceChoice(board: Board, model: ProblemModel, device: DeviceNo): Choice | undefined {
  const freeAfterMib = at(board.free, device) - model.mib;
  if (freeAfterMib < (model.sizeKnown ? 0 : 1) || !isEligible(board, model, device)) return undefined;
  const { neuron } = itemAt(board.problem.devices, device);
  if (model.preferred.has(neuron) || !isOpenTo(board, { model, neuron })) return undefined;
  return { place: { neuron, devices: [device], mib: [model.mib] }, freeAfterMib, costsRoomOf: 0 };
}

/** Cheap and never wrong in saying no. */
export const mayFit = (board: Board, model: ProblemModel, neuron: NeuronNo): boolean =>
  at(board.largestFree, neuron) * model.width >= Math.max(1, model.mib) || model.mib === 0;

/** The best place on this neuron, whatever else speaks against it. */
export function choiceOn(board: Board, prospect: Prospect, options: ChoiceOptions): Choice | undefined {
  const { model, neuron } = prospect;
  const devices = devicesOn(board, prospect, options.style);
  if (devices === undefined) return undefined;
  const place = { neuron, devices, mib: board.split(model, devices) };
  const freeAfterMib = sumFree(board, devices) - model.mib;
  return { place, freeAfterMib, costsRoomOf: options.room?.lostBy(place) ?? 0 };
}

function devicesOn(board: Board, prospect: Prospect, style: Style): readonly DeviceNo[] | undefined {
  const { model, neuron } = prospect;
  const preferred = model.preferred.get(neuron);
  if (preferred !== undefined && holds(board, model, preferred)) return preferred;
  if (model.width === 1) {
    const device = oneDevice(board, prospect, style);
    return device === undefined ? undefined : [device];
  }
  const eligible = byMostFree(board, prospect);
  // Neighbours in this order leave the least over; the first window has the most.
  const last = style === "spread" ? 0 : eligible.length - model.width;
  for (let start = last; start >= 0; start -= 1) {
    if (!windowHolds(board, model, { eligible, start })) continue;
    return eligible.slice(start, start + model.width).sort((left, right) => left - right);
  }
  return undefined;
}

/** Eligible devices, most free first: an insertion sort, because there are a handful and it is done very often. */
function byMostFree(board: Board, { model, neuron }: Prospect): DeviceNo[] {
  const { firstDevice, deviceCount } = itemAt(board.problem.neurons, neuron);
  const eligible: DeviceNo[] = [];
  for (let device = firstDevice; device < firstDevice + deviceCount; device = next(device)) {
    if (!isEligible(board, model, device)) continue;
    let position = eligible.length;
    eligible.push(device);
    for (
      ;
      position > 0 && at(board.free, eligible[position - 1] as DeviceNo) < at(board.free, device);
      position -= 1
    )
      eligible[position] = eligible[position - 1] as DeviceNo;
    eligible[position] = device;
  }
  return eligible;
}

/** So many neighbours as a model is wide, from this position on. */
interface DeviceWindow {
  readonly eligible: readonly DeviceNo[];
  readonly start: number;
}

function windowHolds(board: Board, model: ProblemModel, { eligible, start }: DeviceWindow): boolean {
  if (start + model.width > eligible.length) return false;
  let sum = 0;
  for (let position = start; position < start + model.width; position += 1) {
    const free = at(board.free, eligible[position] as DeviceNo);
    if (free <= 0) return false;
    sum += free;
  }
  return sum >= model.mib;
}

function oneDevice(board: Board, { model, neuron }: Prospect, style: Style): DeviceNo | undefined {
  const { firstDevice, deviceCount } = itemAt(board.problem.neurons, neuron);
  const least = model.sizeKnown ? model.mib : 1;
  let found: DeviceNo | undefined;
  for (let device = firstDevice; device < firstDevice + deviceCount; device = next(device)) {
    const free = at(board.free, device);
    if (free < least || !isEligible(board, model, device)) continue;
    const isBetter =
      found === undefined ||
      (style === "spread" ? free > at(board.free, found) : free < at(board.free, found));
    if (isBetter) found = device;
  }
  return found;
}

const isEligible = (board: Board, model: ProblemModel, device: DeviceNo): boolean =>
  (model.width === 1 && model.floorMib === 0) || mayBeOn(itemAt(board.problem.devices, device), model);

/** Whether these devices, as many as the model wants, can take it now. */
export function holds(board: Board, model: ProblemModel, devices: readonly DeviceNo[]): boolean {
  if (devices.length !== model.width) return false;
  if (!devices.every((device) => isEligible(board, model, device))) return false;
  const lowest = Math.min(...devices.map((device) => at(board.free, device)));
  // Every device of a wide model gets a share of it.
  if (!model.sizeKnown || model.width > 1) return lowest > 0 && sumFree(board, devices) >= model.mib;
  return lowest >= 0 && sumFree(board, devices) >= model.mib;
}

export const sumFree = (board: Board, devices: readonly DeviceNo[]): number =>
  devices.reduce((total, device) => total + Math.max(0, at(board.free, device)), 0);

export type ChoiceRule =
  | "spares_on_demand_room"
  | "most_free"
  | "tightest_fit"
  | "weight"
  | "fewest_models"
  | "tie_break";

/** Whose places are told apart, and what is looked for. */
export interface Preference {
  readonly model: ProblemModel;
  readonly ordinal: number;
  readonly style: Style;
}

/** Which of two places is preferred (below 0: the left one), and by which rule. */
export interface Decision {
  readonly rule: ChoiceRule;
  readonly order: number;
}

/** How the places that a copy could have are told apart, as the board stands. */
export class ChoiceOrder {
  readonly preference: Preference;
  readonly #board: Board;

  constructor(board: Board, preference: Preference) {
    this.#board = board;
    this.preference = preference;
  }

  /** The one that is preferred, the earlier one when nothing tells them apart. */
  better(best: Choice | undefined, choice: Choice | undefined): Choice | undefined {
    if (best === undefined || choice === undefined) return best ?? choice;
    return this.precedes(choice, best) ? choice : best;
  }

  precedes(left: Choice, right: Choice): boolean {
    return this.decide(left, right).order < 0;
  }

  /** By the rules in their order; the first that sees a difference decides. */
  decide(left: Choice, right: Choice): Decision {
    const { model, ordinal, style } = this.preference;
    const room = left.costsRoomOf - right.costsRoomOf;
    if (room !== 0) return { rule: "spares_on_demand_room", order: room };
    const free = left.freeAfterMib - right.freeAfterMib;
    if (free !== 0) {
      return style === "spread" ? { rule: "most_free", order: -free } : { rule: "tightest_fit", order: free };
    }
    const [here, there] = [this.#neuronOf(left), this.#neuronOf(right)];
    const weight = there.block.weight - here.block.weight;
    if (weight !== 0) return { rule: "weight", order: weight };
    const models = this.#tenantsOf(left.place.neuron) - this.#tenantsOf(right.place.neuron);
    if (models !== 0) return { rule: "fewest_models", order: models };
    const seed = model.hash + ordinal;
    const hashes = mixHashes(seed, here.hash) - mixHashes(seed, there.hash);
    return { rule: "tie_break", order: hashes === 0 ? firstDeviceOf(left) - firstDeviceOf(right) : hashes };
  }

  #neuronOf({ place }: Choice): ProblemNeuron {
    return itemAt(this.#board.problem.neurons, place.neuron);
  }

  #tenantsOf(neuron: NeuronNo): number {
    return itemAt(this.#board.hosted, neuron).length + itemAt(this.#board.guestsAt, neuron).length;
  }
}

const firstDeviceOf = ({ place }: Choice): DeviceNo => present(place.devices[0], "the device of a place");
