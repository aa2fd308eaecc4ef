import { at, type Board } from "./board.ts";
import type { OnDemandRoom } from "./on-demand-room.ts";
import type { Place, ProblemModel, ProblemNeuron } from "./problem.ts";
import { mixHashes } from "./stable-hash.ts";

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
export function bestChoice(board: Board, applicant: number, options: ChoiceOptions): Choice | undefined {
  const model = board.modelOf(applicant);
  const ordinal = board.problem.applicants[applicant]?.ordinal ?? 0;
  // A model of unknown size takes what it takes: it is safest where most is free.
  const style = model.sizeKnown ? options.style : "spread";
  const copy = { model, ordinal, style };
  if (model.width === 1 && options.room?.isWatching !== true) return bestDevice(board, copy);
  let best: Choice | undefined;
  for (let neuron = 0; neuron < board.problem.neurons.length; neuron += 1) {
    if (!isOpenTo(board, model, neuron) || !mayFit(board, model, neuron)) continue;
    best = better(board, copy, [best, choiceOn(board, { model, neuron }, { ...options, style })]);
  }
  return best;
}

/** The one that is preferred, the earlier one when nothing tells them apart. */
function better(
  board: Board,
  copy: Copy,
  [best, choice]: readonly [Choice | undefined, Choice | undefined],
): Choice | undefined {
  if (best === undefined || choice === undefined) return best ?? choice;
  return precedes(board, copy, [choice, best]) ? choice : best;
}

/** Whether a copy may come to this neuron as far as anything but memory is concerned. */
const isOpenTo = (board: Board, model: ProblemModel, neuron: number): boolean =>
  at(model.open, neuron) === 1 && !board.hosts(model, neuron);

interface Copy {
  readonly model: ProblemModel;
  readonly ordinal: number;
  readonly style: Style;
}

/** The same for a copy on one device, without looking at every device. */
function bestDevice(board: Board, copy: Copy): Choice | undefined {
  const { model, style } = copy;
  const { byFree } = board;
  const lowest = byFree.drawerFor(model.sizeKnown ? model.mib : 1);
  let best: Choice | undefined;
  for (let step = 0; step < byFree.count - lowest && best === undefined; step += 1) {
    const drawer = style === "tight" ? lowest + step : byFree.count - 1 - step;
    for (const device of byFree.devicesIn(drawer))
      best = better(board, copy, [best, deviceChoice(board, model, device)]);
  }
  for (const neuron of model.preferred.keys()) {
    if (isOpenTo(board, model, neuron))
      best = better(board, copy, [best, choiceOn(board, { model, neuron }, { style })]);
  }
  return best;
}

function deviceChoice(board: Board, model: ProblemModel, device: number): Choice | undefined {
  const freeAfterMib = at(board.free, device) - model.mib;
  if (freeAfterMib < (model.sizeKnown ? 0 : 1) || !isEligible(board, model, device)) return undefined;
  const neuron = board.problem.devices[device]?.neuron ?? -1;
  if (model.preferred.has(neuron) || !isOpenTo(board, model, neuron)) return undefined;
  return { place: { neuron, devices: [device], mib: [model.mib] }, freeAfterMib, costsRoomOf: 0 };
}

/** Cheap and never wrong in saying no. */
const mayFit = (board: Board, model: ProblemModel, neuron: number): boolean =>
  at(board.largestFree, neuron) * model.width >= Math.max(1, model.mib) || model.mib === 0;

/** The best place on this neuron, whatever else speaks against it. */
export function choiceOn(
  board: Board,
  where: { readonly model: ProblemModel; readonly neuron: number },
  options: ChoiceOptions,
): Choice | undefined {
  const { model, neuron } = where;
  const devices = devicesOn(board, where, options.style);
  if (devices === undefined) return undefined;
  const place = { neuron, devices, mib: board.split(model, devices) };
  const freeAfterMib = sumFree(board, devices) - model.mib;
  return { place, freeAfterMib, costsRoomOf: options.room?.lostBy(place) ?? 0 };
}

function devicesOn(
  board: Board,
  { model, neuron }: { readonly model: ProblemModel; readonly neuron: number },
  style: Style,
): readonly number[] | undefined {
  const preferred = model.preferred.get(neuron);
  if (preferred !== undefined && holds(board, model, preferred)) return preferred;
  if (model.width === 1) {
    const device = oneDevice(board, { model, neuron }, style);
    return device === -1 ? undefined : [device];
  }
  const eligible = byMostFree(board, model, neuron);
  // Neighbours in this order leave the least over; the first window has the most.
  const last = style === "spread" ? 0 : eligible.length - model.width;
  for (let start = last; start >= 0; start -= 1) {
    if (!windowHolds(board, model, { eligible, start })) continue;
    return eligible.slice(start, start + model.width).sort((left, right) => left - right);
  }
  return undefined;
}

/** Eligible devices, most free first: an insertion sort, because there are a handful and it is done very often. */
function byMostFree(board: Board, model: ProblemModel, neuron: number): number[] {
  const { firstDevice, deviceCount } = board.problem.neurons[neuron] as ProblemNeuron;
  const eligible: number[] = [];
  for (let device = firstDevice; device < firstDevice + deviceCount; device += 1) {
    if (!isEligible(board, model, device)) continue;
    let position = eligible.length;
    eligible.push(device);
    for (
      ;
      position > 0 && at(board.free, eligible[position - 1] as number) < at(board.free, device);
      position -= 1
    )
      eligible[position] = eligible[position - 1] as number;
    eligible[position] = device;
  }
  return eligible;
}

function windowHolds(
  board: Board,
  model: ProblemModel,
  { eligible, start }: { readonly eligible: readonly number[]; readonly start: number },
): boolean {
  if (start + model.width > eligible.length) return false;
  let sum = 0;
  for (let position = start; position < start + model.width; position += 1) {
    const free = at(board.free, eligible[position] as number);
    if (free <= 0) return false;
    sum += free;
  }
  return sum >= model.mib;
}

/** -1 when none will do. */
function oneDevice(
  board: Board,
  { model, neuron }: { readonly model: ProblemModel; readonly neuron: number },
  style: Style,
): number {
  const { firstDevice, deviceCount } = board.problem.neurons[neuron] as ProblemNeuron;
  const least = model.sizeKnown ? model.mib : 1;
  let found = -1;
  for (let device = firstDevice; device < firstDevice + deviceCount; device += 1) {
    const free = at(board.free, device);
    if (free < least || !isEligible(board, model, device)) continue;
    const isBetter =
      found === -1 || (style === "spread" ? free > at(board.free, found) : free < at(board.free, found));
    if (isBetter) found = device;
  }
  return found;
}

const isEligible = (board: Board, model: ProblemModel, device: number): boolean =>
  model.floorMib === 0 || (board.problem.devices[device]?.totalMib ?? 0) >= model.floorMib;

/** Whether these devices, as many as the model wants, can take it now. */
export function holds(board: Board, model: ProblemModel, devices: readonly number[]): boolean {
  if (devices.length !== model.width) return false;
  if (!devices.every((device) => isEligible(board, model, device))) return false;
  const lowest = Math.min(...devices.map((device) => at(board.free, device)));
  // Every device of a wide model gets a share of it.
  if (!model.sizeKnown || model.width > 1) return lowest > 0 && sumFree(board, devices) >= model.mib;
  return lowest >= 0 && sumFree(board, devices) >= model.mib;
}

export const sumFree = (board: Board, devices: readonly number[]): number =>
  devices.reduce((total, device) => total + Math.max(0, at(board.free, device)), 0);

/** The rules by which places are told apart, in their order. `undefined`: the rule sees no difference. */
export function precedes(board: Board, copy: Copy, [left, right]: readonly [Choice, Choice]): boolean {
  return decidingRule(board, copy, [left, right]).order < 0;
}

export type ChoiceRule =
  | "spares_on_demand_room"
  | "most_free"
  | "tightest_fit"
  | "weight"
  | "fewest_models"
  | "tie_break";

/** Which of two places is preferred (below 0: the left one), and by which rule. */
export function decidingRule(
  board: Board,
  copy: Copy,
  [left, right]: readonly [Choice, Choice],
): { readonly rule: ChoiceRule; readonly order: number } {
  const room = left.costsRoomOf - right.costsRoomOf;
  if (room !== 0) return { rule: "spares_on_demand_room", order: room };
  const free = left.freeAfterMib - right.freeAfterMib;
  if (free !== 0) {
    return copy.style === "spread"
      ? { rule: "most_free", order: -free }
      : { rule: "tightest_fit", order: free };
  }
  const [here, there] = [neuronOf(board, left), neuronOf(board, right)];
  const weight = there.block.weight - here.block.weight;
  if (weight !== 0) return { rule: "weight", order: weight };
  const models = tenantsOf(board, left.place.neuron) - tenantsOf(board, right.place.neuron);
  if (models !== 0) return { rule: "fewest_models", order: models };
  const seed = copy.model.hash + copy.ordinal;
  const hashes = mixHashes(seed, here.hash) - mixHashes(seed, there.hash);
  const devices = (left.place.devices[0] ?? 0) - (right.place.devices[0] ?? 0);
  return { rule: "tie_break", order: hashes === 0 ? devices : hashes };
}

const neuronOf = (board: Board, choice: Choice): ProblemNeuron =>
  board.problem.neurons[choice.place.neuron] as ProblemNeuron;

const tenantsOf = (board: Board, neuron: number): number =>
  (board.hosted[neuron]?.length ?? 0) + (board.guestsAt[neuron]?.length ?? 0);
