import { at, Board } from "../board/board.ts";
import { holds } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import {
  combinations,
  devicesOf,
  type Demand,
  type Place,
  type PlacementProblem,
  type ProblemModel,
} from "../board/problem.ts";
import { settledBoard } from "../search/settle.ts";
import { classesOf, moveCost, TIER, tiersOf, TIERS_PER_CLASS } from "../board/tiers.ts";

/*
 * Branch and bound over every way to place every copy, for fleets small enough. Copies that may stay as they are
 * come onto the board first, so that leaving them there is the first thing tried. Copies on one device come before
 * wide ones, whose split follows from what is free by then; and it is known which wide copies stay before any wide one
 * is loaded. Within that the highest class is first. Guests have no choice of their own: a guest stays where it still
 * fits.
 *
 * The cost of a partial placement is counted in the tiers of `costOf` and never falls, so a branch that already costs
 * as much as the best known placement is cut. Devices that are alike are tried once. The search ends after a number
 * of nodes; its answer is then still good, but proves nothing.
 */

/** More than any model can be wide. */
const WIDTHS = 1024;

export interface ExactResult {
  readonly board: Board;
  /** True when no placement is better in the tiers of demand, moves and guests. */
  readonly isProved: boolean;
}

export interface ExactOptions {
  /** Nodes after which the search gives up its proof. */
  readonly nodes: number;
  /** A known placement to beat. */
  readonly incumbent?: Board;
}

export function exactSearch(problem: PlacementProblem, options: ExactOptions): ExactResult {
  return new ExactSearch(problem, options).run();
}

/** A board on which nothing is placed and every guest has left: copies bring themselves, guests are weighed. */
function emptyBoard(problem: PlacementProblem): Board {
  const board = new Board(problem);
  for (const demand of problem.demands.keys()) board.lift(demand);
  for (const guest of problem.guests.keys()) board.evict(guest, -1);
  return board;
}

class ExactSearch {
  readonly #problem: PlacementProblem;
  readonly #board: Board;
  readonly #order: readonly Question[];
  readonly #cost: number[];
  readonly #tierOf: ReadonlyMap<number, number>;
  readonly #rankOf: ReadonlyMap<number, number>;
  /** 1 for devices that somebody would miss: they are like no other. */
  readonly #special: Uint8Array;
  /** Sets of devices by neuron and width. */
  readonly #sets = new Map<number, readonly (readonly number[])[]>();
  #nodesLeft: number;
  /** False once a placement turned out to be worse in the order of its loads than on the board. */
  #isFaithful = true;
  #bestCost: readonly number[];
  #best: Board;

  constructor(problem: PlacementProblem, { nodes, incumbent }: ExactOptions) {
    this.#problem = problem;
    this.#board = emptyBoard(problem);
    this.#nodesLeft = nodes;
    const classes = classesOf(problem);
    this.#tierOf = new Map(classes.map((priority, rank) => [priority, rank * TIERS_PER_CLASS]));
    this.#cost = Array.from({ length: classes.length * TIERS_PER_CLASS }, () => 0);
    this.#best = incumbent ?? new Board(problem);
    this.#bestCost = tiersOf(this.#best);
    this.#order = [...problem.demands.keys()]
      .flatMap((demand) => this.#questionsOf(demand))
      .sort((left, right) => this.#byTurn(left, right));
    this.#rankOf = new Map(this.#order.map(({ demand }, rank) => [demand, rank]));
    this.#special = specialDevices(problem);
  }

  run(): ExactResult {
    this.#descend(0);
    return { board: this.#best, isProved: this.#nodesLeft > 0 && this.#isFaithful };
  }

  #questionsOf(demand: number): Question[] {
    const { home, movable } = this.#problem.demands[demand] as Demand;
    const isSpread = this.#board.modelOf(demand).width > 1;
    if (home === null) return [{ demand, asks: "place", turn: isSpread ? 3 : 1 }];
    // A copy that must stay where it is has its memory before anybody else is given any.
    if (!movable && home.current) return [{ demand, asks: "stay", turn: 0 }];
    const first = movable ? 1 : 0;
    if (!isSpread) return [{ demand, asks: "stay or place", turn: first }];
    return [
      { demand, asks: "stay", turn: Math.min(2, first * 2) },
      { demand, asks: "place", turn: 3 },
    ];
  }

  #byTurn(left: Question, right: Question): number {
    const [first, second] = [this.#board.modelOf(left.demand), this.#board.modelOf(right.demand)];
    const isAway = ({ demand }: Question): number => (this.#problem.demands[demand]?.home === null ? 1 : 0);
    return (
      left.turn - right.turn ||
      second.priority - first.priority ||
      isAway(left) - isAway(right) ||
      first.width - second.width ||
      second.mib - first.mib ||
      left.demand - right.demand
    );
  }

  #descend(depth: number): void {
    if (this.#nodesLeft <= 0) return;
    this.#nodesLeft -= 1;
    if (compareCosts(this.#cost, this.#bestCost) >= 0 || this.#isHopeless(depth)) return;
    const question = this.#order[depth];
    if (question === undefined) this.#finish();
    else if (question.asks === "stay") this.#branchOnStaying(depth, question.demand);
    else this.#branch(depth, question);
  }

  /** Stays as it is, or is asked for its place later on; a protected copy with the declared settings stays. */
  #branchOnStaying(depth: number, demand: number): void {
    const { home, movable } = this.#problem.demands[demand] as Demand;
    if (home !== null) this.#tryHome(depth, { demand, home });
    if (movable || home?.current !== true) this.#descend(depth + 1);
  }

  #branch(depth: number, { demand, asks }: Question): void {
    if (this.#board.places[demand] !== undefined) {
      this.#descend(depth + 1);
      return;
    }
    const { home, movable } = this.#problem.demands[demand] as Demand;
    if (home !== null && asks === "stay or place") this.#tryHome(depth, { demand, home });
    for (const place of this.#options(this.#board.modelOf(demand), home?.place))
      this.#tryPlace(depth, { demand, place });
    if (home === null || movable) this.#tryNothing(depth, demand);
  }

  /** Memory only gets less on the way down: who fits nowhere now is missing in the end. */
  #isHopeless(depth: number): boolean {
    let cost: number[] | undefined;
    for (let rank = depth; rank < this.#order.length; rank += 1) {
      const { demand, asks } = this.#order[rank] as Question;
      if (asks === "stay" || this.#mayFit(demand)) continue;
      cost ??= [...this.#cost];
      const tier = this.#tier(demand) + TIER.missing;
      cost[tier] = (cost[tier] ?? 0) + 1;
    }
    return cost !== undefined && compareCosts(cost, this.#bestCost) >= 0;
  }

  #mayFit(demand: number): boolean {
    const { home } = this.#problem.demands[demand] ?? { home: null };
    if (home !== null) return true;
    const model = this.#board.modelOf(demand);
    const least = Math.max(1, model.mib);
    for (let neuron = 0; neuron < model.open.length; neuron += 1) {
      const isOpen = at(model.open, neuron) === 1;
      if (isOpen && at(this.#board.largestFree, neuron) * model.width >= least) return true;
    }
    return false;
  }

  #tryHome(
    depth: number,
    { demand, home }: { readonly demand: number; readonly home: { place: Place; current: boolean } },
  ): void {
    const { place } = home;
    const fits = place.devices.every((device, at_) => at(this.#board.free, device) >= (place.mib[at_] ?? 0));
    const isForced = this.#problem.demands[demand]?.movable === false;
    if ((!fits && !isForced) || this.#board.hosts(this.#board.modelOf(demand), place.neuron)) return;
    const tier = this.#tier(demand) + TIER.outdated;
    const outdated = home.current ? 0 : 1;
    this.#add(tier, outdated);
    this.#board.stay(demand, place);
    this.#descend(depth + 1);
    this.#board.lift(demand);
    this.#add(tier, -outdated);
  }

  #tryPlace(depth: number, { demand, place }: { readonly demand: number; readonly place: Place }): void {
    const home = this.#problem.demands[demand]?.home ?? null;
    const moved = home === null ? 0 : moveCost(home, place);
    const tier = this.#tier(demand) + TIER.moved;
    this.#add(tier, moved);
    this.#board.put(demand, place);
    this.#descend(depth + 1);
    this.#board.lift(demand);
    this.#add(tier, -moved);
  }

  #tryNothing(depth: number, demand: number): void {
    const tier = this.#tier(demand);
    const model = this.#board.modelOf(demand);
    const lost = this.#problem.demands[demand]?.home === null ? 0 : 1;
    const others = model.demands.filter((other) => other !== demand);
    const rank = this.#rankOf.get(demand) ?? 0;
    // The last of its copies to be decided: then the model is without any.
    const isLast = others.every((other) => (this.#rankOf.get(other) ?? 0) < rank);
    const without = isLast && others.every((other) => this.#board.places[other] === undefined) ? 1 : 0;
    this.#add(tier + TIER.lost, lost);
    this.#add(tier + TIER.without, without);
    this.#add(tier + TIER.missing, 1);
    this.#descend(depth + 1);
    this.#add(tier + TIER.lost, -lost);
    this.#add(tier + TIER.without, -without);
    this.#add(tier + TIER.missing, -1);
  }

  #tier(demand: number): number {
    return this.#tierOf.get(this.#board.modelOf(demand).priority) ?? 0;
  }

  #add(tier: number, amount: number): void {
    this.#cost[tier] = (this.#cost[tier] ?? 0) + amount;
  }

  #options(model: ProblemModel, home: Place | undefined): Place[] {
    const places: Place[] = [];
    for (const neuron of this.#problem.neurons.keys()) {
      if (at(model.open, neuron) === 0 || this.#board.hosts(model, neuron)) continue;
      for (const devices of this.#deviceSets(model, neuron)) {
        if (holds(this.#board, model, devices))
          places.push({ neuron, devices, mib: this.#board.split(model, devices) });
      }
    }
    const isHome = (place: Place): number => (place.neuron === home?.neuron ? 0 : 1);
    const left = (place: Place): number =>
      place.devices.reduce((total, device) => total + at(this.#board.free, device), 0);
    return places.sort((one, other) => isHome(one) - isHome(other) || left(one) - left(other));
  }

  /** Every set of that many devices, sets that differ only in which of two alike devices they name but once. */
  #deviceSets(model: ProblemModel, neuron: number): readonly (readonly number[])[] {
    const sets = this.#setsOf(neuron, model.width);
    if (sets.length < 2) return sets;
    const seen = new Set<string>();
    return sets.filter((devices) => {
      const key = devices.map((device) => this.#likeness(device)).join(" ");
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }

  #setsOf(neuron: number, width: number): readonly (readonly number[])[] {
    const key = neuron * WIDTHS + width;
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const sets = combinations(devicesOf(this.#problem, neuron), width);
    this.#sets.set(key, sets);
    return sets;
  }

  /** Devices that nothing tells apart look the same; a device that somebody would miss is like no other. */
  #likeness(device: number): string {
    if (at(this.#special, device) === 1) return `device ${device}`;
    return `${at(this.#board.free, device)}/${this.#problem.devices[device]?.totalMib ?? 0}`;
  }

  /** All copies are decided: guests stay where they still fit. */
  #finish(): void {
    const readmitted = this.#guestsByRank().filter((guest) => {
      const stays = this.#mayStay(guest);
      if (stays) this.#board.readmit(guest);
      return stays;
    });
    if (!this.#keepIfBetter() && readmitted.length > 0) {
      for (const guest of readmitted) this.#board.evict(guest, -1);
      this.#keepIfBetter();
      return;
    }
    for (const guest of readmitted) this.#board.evict(guest, -1);
  }

  #keepIfBetter(): boolean {
    const cost = tiersOf(this.#board);
    if (compareCosts(cost, this.#bestCost) >= 0) return false;
    const settled = settledBoard(copyOf(this.#board));
    const settledCost = tiersOf(settled);
    if (compareCosts(settledCost, cost) > 0) this.#isFaithful = false;
    if (compareCosts(settledCost, this.#bestCost) >= 0) return false;
    this.#bestCost = settledCost;
    this.#best = settled;
    return true;
  }

  #guestsByRank(): number[] {
    const guestOf = (guest: number) => this.#problem.guests[guest];
    return [...this.#problem.guests.keys()].sort(
      (left, right) =>
        (guestOf(right)?.priority ?? 0) - (guestOf(left)?.priority ?? 0) ||
        (guestOf(right)?.lastUsedMs ?? 0) - (guestOf(left)?.lastUsedMs ?? 0) ||
        left - right,
    );
  }

  #mayStay(guest: number): boolean {
    const place = this.#problem.guests[guest]?.place;
    if (place === undefined) return false;
    return place.devices.every(
      (device, position) => at(this.#board.free, device) >= (place.mib[position] ?? 0),
    );
  }
}

/** What is decided at one depth of the search. */
interface Question {
  readonly demand: number;
  readonly asks: "stay" | "place" | "stay or place";
  /** 0: who must stay. 1: copies on one device. 2: which wide ones stay. 3: where the other wide ones go. */
  readonly turn: number;
}

function specialDevices(problem: PlacementProblem): Uint8Array {
  const special = new Uint8Array(problem.devices.length);
  const homes = problem.demands.flatMap(({ home }) => home?.place ?? []);
  for (const { devices } of [...homes, ...problem.guests.map(({ place }) => place)])
    for (const device of devices) special[device] = 1;
  return special;
}

/** A copy of the board on which every guest that left did so for somebody. */
function copyOf(board: Board): Board {
  const copy = board.copy();
  for (const guest of board.problem.guests.keys())
    if (at(board.evicted, guest) === 1) copy.guestLeftFor[guest] = newcomerAt(board, guest);
  return copy;
}

/** The largest newcomer on the devices that a guest had. */
function newcomerAt(board: Board, guest: number): number {
  const place = board.problem.guests[guest]?.place;
  const newcomers = (board.hosted[place?.neuron ?? -1] ?? [])
    .filter((demand) => at(board.untouched, demand) === 0)
    .filter((demand) => board.places[demand]?.devices.some((device) => place?.devices.includes(device)))
    .toSorted((left, right) => board.modelOf(right).mib - board.modelOf(left).mib || left - right);
  return newcomers[0] ?? -1;
}
