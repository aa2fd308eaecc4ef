import { present } from "../../../core/present.ts";
import { BoundedSimplex } from "./bounded-simplex.ts";

/*
 * The most that any packing could be worth: an upper bound by the pattern linear programme of Gilmore and Gomory.
 *
 * A pattern is a set of copies that fits one device. The programme chooses how often each pattern is used, fractions
 * allowed, so that no kind of copy is used more often than it is wanted and no kind of device more often than there
 * are such devices. Patterns are far too many to list; they are generated: given a price for each kind of copy, the
 * pattern worth most on a device is a knapsack problem, and a pattern worth more than its device costs so far enters
 * the programme.
 *
 * For any prices p >= 0 whatsoever (Lagrange), no packing is worth more than
 *
 *     sum over kinds of copies   wanted * max(0, worth - p)   +   sum over devices   knapsack(device, p),
 *
 * so the bound that is returned is this sum for the best prices found. It holds even when the programme was not solved
 * to the end, or by inexact numbers. Sizes are rounded down and devices up wherever they are rounded, pins and
 * replica rules are left out, and a copy on several devices counts as if it could be poured over all devices of the
 * fleet: each of that makes the bound larger, never wrong.
 */

export interface WantedItems {
  readonly mib: number;
  /** More than one: spread over several devices. */
  readonly width: number;
  readonly count: number;
  /** What one of them is worth when it is placed. */
  readonly worth: number;
}

const KINDS_AT_MOST = 64;
const DEVICE_KINDS_AT_MOST = 24;
const GRID_UNITS = 2048;
const ROUNDS_AT_MOST = 60;
const PIVOTS_PER_ROUND = 400;
/** The search for better prices ends when they gain less than this share. */
const GOOD_ENOUGH = 1e-4;

interface Kind {
  readonly units: number;
  readonly count: number;
  readonly worth: number;
  readonly isWide: boolean;
}

interface DeviceKind {
  readonly units: number;
  readonly count: number;
}

/** An upper bound of the worth of all items that can be placed on devices with this much room. */
export function packingBound(items: readonly WantedItems[], roomMib: readonly number[]): number {
  const wanted = items.filter(({ count }) => count > 0);
  const rooms = roomMib.filter((room) => room > 0);
  const all = wanted.reduce((total, { count, worth }) => total + count * worth, 0);
  if (wanted.length === 0 || rooms.length === 0) {
    return wanted
      .filter(({ mib }) => mib === 0)
      .reduce((total, { count, worth }) => total + count * worth, 0);
  }
  const poured = volumeBound(wanted, rooms);
  return Math.min(all, poured, new PatternProgramme(wanted, rooms).bound());
}

/** As if memory were one piece: the worthiest items per MiB, the last one in part. */
function volumeBound(items: readonly WantedItems[], rooms: readonly number[]): number {
  let left = rooms.reduce((total, room) => total + room, 0);
  let worth = 0;
  for (const item of items.toSorted((one, other) => other.worth * one.mib - one.worth * other.mib)) {
    const fitting = item.mib === 0 ? item.count : Math.min(item.count, left / item.mib);
    worth += fitting * item.worth;
    left -= fitting * item.mib;
  }
  return worth;
}

class PatternProgramme {
  readonly #kinds: readonly Kind[];
  readonly #devices: readonly DeviceKind[];
  /** Worth of what takes no memory on the grid. */
  readonly #free: number;
  readonly #capacityUnits: number;

  constructor(items: readonly WantedItems[], rooms: readonly number[]) {
    const unitMib = Math.max(1, Math.ceil(Math.max(...rooms) / GRID_UNITS));
    const kinds = kindsOf(items, unitMib);
    this.#kinds = kinds.filter(({ units }) => units > 0);
    this.#free = kinds
      .filter(({ units }) => units === 0)
      .reduce((total, { count, worth }) => total + count * worth, 0);
    this.#devices = deviceKindsOf(rooms, unitMib);
    this.#capacityUnits = Math.max(...this.#devices.map(({ units }) => units));
  }

  bound(): number {
    const kinds = this.#kinds;
    const fluidRow = kinds.length + this.#devices.length;
    const simplex = new BoundedSimplex([
      ...kinds.map(() => 0),
      ...this.#devices.map(({ count }) => count),
      0,
    ]);
    for (const [number, { count, worth, isWide, units }] of kinds.entries()) {
      const [row, value] = isWide ? [fluidRow, units] : [number, 1];
      simplex.addColumn({ rows: [row], values: [value], cost: worth, upper: count });
    }
    let best = Infinity;
    for (let round = 0; round < ROUNDS_AT_MOST; round += 1) {
      simplex.solve(PIVOTS_PER_ROUND);
      const duals = simplex.duals();
      const prices = kinds.map((_, number) => Math.max(0, present(duals[number], "a price")));
      const perUnit = Math.max(0, present(duals[fluidRow], "a price"));
      const knapsack = this.#knapsack(prices, perUnit);
      const bound = this.#lagrange(prices, { perUnit, knapsack });
      const gained = best - bound;
      best = Math.min(best, bound);
      const entered = this.#generate(simplex, { duals, knapsack, fluidRow });
      if (!entered || (round > 8 && Math.abs(gained) < best * GOOD_ENOUGH)) break;
    }
    return best + this.#free;
  }

  /** A new column for every kind of device whose best pattern is worth more than the device costs so far. */
  #generate(
    simplex: BoundedSimplex,
    context: { readonly duals: Float64Array; readonly knapsack: Knapsack; readonly fluidRow: number },
  ): boolean {
    const { duals, knapsack, fluidRow } = context;
    let entered = false;
    for (const [number, { units }] of this.#devices.entries()) {
      const row = this.#kinds.length + number;
      if (worthOf(knapsack, units) <= present(duals[row], "a price") + 1e-7) continue;
      const { counts, left } = this.#pattern(knapsack, units);
      const used = [...counts].filter(([, count]) => count > 0);
      simplex.addColumn({
        rows: [...used.map(([kind]) => kind), row, fluidRow],
        values: [...used.map(([, count]) => -count), 1, -left],
        cost: 0,
        upper: Infinity,
      });
      entered = true;
    }
    return entered;
  }

  #lagrange(
    prices: readonly number[],
    { perUnit, knapsack }: { readonly perUnit: number; readonly knapsack: Knapsack },
  ): number {
    const beyondPrice = this.#kinds.reduce((total, { count, worth, isWide, units }, number) => {
      const price = isWide ? perUnit * units : present(prices[number], "a price");
      return total + count * Math.max(0, worth - price);
    }, 0);
    return this.#devices.reduce(
      (total, { units, count }) => total + count * worthOf(knapsack, units),
      beyondPrice,
    );
  }

  /** Best value for every capacity at once; what is left over is worth `perUnit` each. Counts are bounded. */
  #knapsack(prices: readonly number[], perUnit: number): Knapsack {
    // What patterns gain over leaving the device to be poured into.
    const gains = new Float64Array(this.#capacityUnits + 1);
    const steps: Step[] = [];
    for (const [kind, { units, count, isWide }] of this.#kinds.entries()) {
      const gain = present(prices[kind], "a price") - perUnit * units;
      if (isWide || gain <= 1e-12) continue;
      let rest = Math.min(count, Math.floor(this.#capacityUnits / units));
      for (let bundle = 1; rest > 0; bundle *= 2) {
        const taken = Math.min(bundle, rest);
        rest -= taken;
        const weight = units * taken;
        steps.push({ kind, taken, weight, chosen: improve(gains, { weight, gain: gain * taken }) });
      }
    }
    return { value: gains.map((gain, units) => gain + units * perUnit), steps };
  }

  #pattern(knapsack: Knapsack, capacity: number): { counts: ReadonlyMap<number, number>; left: number } {
    const counts = new Map<number, number>();
    let left = capacity;
    for (const step of knapsack.steps.toReversed()) {
      if (step.chosen[left] !== 1) continue;
      counts.set(step.kind, (counts.get(step.kind) ?? 0) + step.taken);
      left -= step.weight;
    }
    return { counts, left };
  }
}

interface Knapsack {
  /** By capacity in units. */
  readonly value: Float64Array;
  readonly steps: readonly Step[];
}

const worthOf = ({ value }: Knapsack, units: number): number =>
  present(value[units], "the worth of a device");

interface Step {
  readonly kind: number;
  readonly taken: number;
  readonly weight: number;
  /** By capacity: 1 where the bundle belongs to the best choice among the bundles so far. */
  readonly chosen: Uint8Array;
}

/** One row of the knapsack's table: take the bundle or leave it. */
function improve(
  gains: Float64Array,
  bundle: { readonly weight: number; readonly gain: number },
): Uint8Array {
  const chosen = new Uint8Array(gains.length);
  for (let units = gains.length - 1; units >= bundle.weight; units -= 1) {
    const candidate = (gains[units - bundle.weight] as number) + bundle.gain;
    if (candidate <= (gains[units] as number) + 1e-12) continue;
    gains[units] = candidate;
    chosen[units] = 1;
  }
  return chosen;
}

function kindsOf(items: readonly WantedItems[], unitMib: number): Kind[] {
  const groups = Map.groupBy(items, ({ width, worth }) => `${width > 1 ? "wide" : "narrow"} ${worth}`);
  const sizesOf = (group: readonly WantedItems[]): (readonly [number, WantedItems[]])[] =>
    [...Map.groupBy(group, ({ mib }) => Math.floor(mib / unitMib))].sort(([left], [right]) => left - right);
  const sized = [...groups.values()].map(sizesOf);
  const distinct = sized.reduce((total, sizes) => total + sizes.length, 0);
  return sized.flatMap((sizes) => {
    const share = Math.max(1, Math.floor((KINDS_AT_MOST * sizes.length) / distinct));
    const perKind = Math.ceil(sizes.length / share);
    return Array.from({ length: Math.ceil(sizes.length / perKind) }, (_, number) => {
      const merged = sizes.slice(number * perKind, (number + 1) * perKind);
      const members = merged.flatMap(([, same]) => same);
      const first = present(members[0], "a copy of a kind");
      return {
        units: present(merged[0], "a kind of copy")[0],
        count: members.reduce((total, { count }) => total + count, 0),
        worth: first.worth,
        isWide: first.width > 1,
      };
    });
  });
}

function deviceKindsOf(rooms: readonly number[], unitMib: number): DeviceKind[] {
  const byUnits = Map.groupBy(rooms, (room) => Math.ceil(room / unitMib));
  const sizes = [...byUnits].sort(([left], [right]) => left - right);
  const perKind = Math.ceil(sizes.length / DEVICE_KINDS_AT_MOST);
  return Array.from({ length: Math.ceil(sizes.length / perKind) }, (_, number) => {
    const merged = sizes.slice(number * perKind, (number + 1) * perKind);
    return {
      units: present(merged.at(-1), "a kind of device")[0],
      count: merged.reduce((total, [, same]) => total + same.length, 0),
    };
  });
}
