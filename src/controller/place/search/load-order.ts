import { present } from "../../../core/present.ts";
import { splitByWeight } from "../../observe/device-memory.ts";

/*
 * In which order copies can be loaded on one neuron. A model on several devices takes from each in proportion to what is
 * free there at that moment, so each load decides what the next ones find: with three or more devices some orders leave
 * room for everybody and others do not. All orders are tried, except those that only exchange two neighbours which do
 * not touch each other, and those that leave too little for what is still to come however it would be split. So "there
 * is none" is an answer too, as long as the effort was enough to look at all of them.
 */

/** A copy that comes. Devices are positions among those of the neuron. */
export interface Load {
  readonly devices: readonly number[];
  readonly mib: number;
  readonly sizeKnown: boolean;
  /** What the copy with old settings holds on each device until this one comes in its stead; none for any other. */
  readonly renews: readonly number[] | undefined;
}

/** Positions in the list of loads. */
export interface LoadOrder {
  readonly order: readonly number[];
  /** Renewals whose old copy has to leave before anybody is loaded. */
  readonly early: readonly number[];
}

/** How many loads may still be tried; at 0 or less nothing is proved. */
export interface Effort {
  left: number;
}

/** Where more copies than that are renewed, either none or all of them leave early. */
const RENEWALS_WEIGHED = 4;

/** An order in which each of them fits, with as few early leaves as it takes; undefined where none was found. */
export function orderOfLoads(
  free: readonly number[],
  loads: readonly Load[],
  effort: Effort,
): LoadOrder | undefined {
  for (const early of earlyLeaves(loads)) {
    const freed = early.reduce<readonly number[]>((mib, load) => plus(mib, renewedBy(loads, load), 1), free);
    const all = loads.map((load, position) =>
      early.includes(position) ? { ...load, renews: undefined } : load,
    );
    const order = asTheyCome(freed, all, effort) ?? new Orders(all, effort).from(freed);
    if (order !== undefined) return { order, early };
  }
  return undefined;
}

/** The first order that is tried. In most neurons it will do, and then nothing has to be known of the others. */
function asTheyCome(
  free: readonly number[],
  loads: readonly Load[],
  effort: Effort,
): readonly number[] | undefined {
  if (effort.left < loads.length) return undefined;
  let left: readonly number[] | undefined = free;
  for (const load of loads) {
    left = afterLoad(left, load);
    if (left === undefined) return undefined;
  }
  effort.left -= loads.length;
  return [...loads.keys()];
}

const renewedBy = (loads: readonly Load[], position: number): readonly number[] =>
  present(loads[position]?.renews, "what is renewed by load", position);

/** Sets of renewals, the smaller ones first. */
function earlyLeaves(loads: readonly Load[]): readonly (readonly number[])[] {
  const renewals = [...loads.keys()].filter((position) => loads[position]?.renews !== undefined);
  if (renewals.length > RENEWALS_WEIGHED) return [[], renewals];
  const sets = renewals.reduce<number[][]>(
    (known, renewal) => [...known, ...known.map((set) => [...set, renewal])],
    [[]],
  );
  return sets.toSorted((left, right) => left.length - right.length);
}

const plus = (mib: readonly number[], more: readonly number[], sign: 1 | -1): number[] =>
  mib.map((value, device) => value + sign * (more[device] ?? 0));

class Orders {
  readonly #loads: readonly Load[];
  readonly #demands: readonly Demand[];
  readonly #effort: Effort;
  readonly #order: number[] = [];

  constructor(loads: readonly Load[], effort: Effort) {
    this.#loads = loads;
    this.#demands = loads.map(demandOf);
    this.#effort = effort;
  }

  from(free: readonly number[]): readonly number[] | undefined {
    if (this.#order.length === this.#loads.length) return [...this.#order];
    if (!this.#mayAllFit(free)) return undefined;
    const last = this.#order.at(-1);
    for (const [position, load] of this.#loads.entries()) {
      if (this.#order.includes(position) || this.#isSameAsEarlier(position, last)) continue;
      this.#effort.left -= 1;
      if (this.#effort.left < 0) return undefined;
      const after = afterLoad(free, load);
      if (after === undefined) continue;
      this.#order.push(position);
      const order = this.from(after);
      if (order !== undefined) return order;
      this.#order.pop();
    }
    return undefined;
  }

  #mayAllFit(free: readonly number[]): boolean {
    const coming = [...this.#loads.keys()].filter((position) => !this.#order.includes(position));
    const room = coming.reduce<readonly number[]>(
      (mib, position) => plus(mib, this.#loads[position]?.renews ?? [], 1),
      free,
    );
    return sharesExist(
      room,
      coming.map((position) => present(this.#demands[position], "the demand of load", position)),
    );
  }

  /** The two of them the other way round lead to the same, and that way was tried. */
  #isSameAsEarlier(position: number, last: number | undefined): boolean {
    if (last === undefined || last < position) return false;
    const [one, other] = [this.#loads[last], this.#loads[position]];
    return one !== undefined && other !== undefined && areIndependent(one, other);
  }
}

function areIndependent(one: Load, other: Load): boolean {
  if (!one.devices.some((device) => other.devices.includes(device))) return true;
  return [one, other].every(
    ({ devices, sizeKnown, renews }) => devices.length === 1 && sizeKnown && renews === undefined,
  );
}

/** What is free once it is loaded; undefined where the neuron would refuse it. */
function afterLoad(free: readonly number[], { devices, mib, sizeKnown, renews }: Load) {
  const room = renews === undefined ? free : plus(free, renews, 1);
  const rooms = devices.map((device) => present(room[device], "the memory of device", device));
  const isSpread = devices.length > 1;
  const least = isSpread || !sizeKnown ? 1 : 0;
  const weights = rooms.map((value) => Math.max(0, value));
  const sum = weights.reduce((total, value) => total + value, 0);
  if (sum < mib || rooms.some((value) => value < least)) return undefined;
  const shares = isSpread ? splitByWeight(mib, devices, weights) : new Map(devices.map((no) => [no, mib]));
  return room.map((value, device) => value - (shares.get(device) ?? 0));
}

/** What is wanted on a set of devices: one bit for each. */
export interface Demand {
  readonly devices: number;
  readonly mib: number;
}

export const demandOf = ({ devices, mib }: Pick<Load, "devices" | "mib">): Demand => ({
  devices: devices.reduce((bits, device) => bits | (1 << device), 0),
  mib,
});

/** Sets of devices beyond which the question is not put: their unions are counted one by one. */
const SETS_WEIGHED = 8;

/** Of a whole number with a sign. */
const BITS = 31;

/**
 * Whether there are shares with which all of them fit (Hall): each union of their sets must have room for all that is
 * wanted within it. Where there are very many sets, a yes means nothing.
 */
export function sharesExist(free: readonly number[], demands: readonly Demand[]): boolean {
  const sets = [...new Set(demands.map(({ devices }) => devices))];
  if (sets.length > SETS_WEIGHED || free.length > BITS) return true;
  const unions = new Set([0]);
  for (const set of sets) for (const union of unions) unions.add(union | set);
  return [...unions].every((union) => wantedWithin(union, demands) <= roomWithin(union, free));
}

const wantedWithin = (union: number, demands: readonly Demand[]): number =>
  demands.reduce((total, { devices, mib }) => ((devices & ~union) === 0 ? total + mib : total), 0);

const roomWithin = (union: number, free: readonly number[]): number =>
  free.reduce((total, mib, device) => ((union & (1 << device)) === 0 ? total : total + Math.max(0, mib)), 0);
