import { Board, newcomersOn } from "../board/board.ts";
import { holds } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { FreeSplits } from "./free-splits.ts";
import type { Effort } from "../search/load-order.ts";
import { replayedBoard } from "../search/replay.ts";
import { moveCost, noCost, TIER, tierOffsets, tiersOf } from "../board/tiers.ts";
import { present } from "../../../core/present.ts";
import {
  at,
  itemAt,
  type ApplicantNo,
  type DeviceNo,
  type GuestNo,
  type NeuronNo,
} from "../board/numbers.ts";
import {
  combinations,
  mayBeOn,
  type Home,
  type Place,
  type PlacementProblem,
  type ProblemModel,
} from "../board/problem.ts";

/*
 * Branch and bound over every way to place every copy, for fleets small enough. Copies that may stay as they are
 * come onto the board first, so that leaving them there is the first thing tried. Copies on one device come before
 * wide ones, and it is known which wide copies stay before any wide one is loaded. Within that the highest class is
 * first. Guests have no choice of their own: a guest stays where it still fits.
 *
 * The cost of a partial placement is counted in the tiers of `costOf` and never falls, so a branch that already costs
 * as much as the best known placement is cut. Devices that are alike are tried once. The search ends after a number
 * of nodes; its answer is then still good, but proves nothing.
 *
 * How a wide copy is split follows from the order of the loads, so it may take any share of its devices until everybody
 * has a place; then each neuron needs a real order (`free-splits.ts`). A placement that would be better and has none
 * is not made, and leaves the result without its proof: what is called the best is the best however models are split,
 * so that no later plan, which finds other splits loaded, can beat it.
 */

/** More than any model can be wide. */
const WIDTHS = 1024;

export interface ExactResult {
  readonly board: Board;
  /** True when no placement is better in the tiers of missing copies, moves and guests. */
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
  for (const applicant of problem.applicants.keys()) board.lift(applicant);
  for (const guest of problem.guests.keys()) board.evict(guest, undefined);
  return board;
}

class ExactSearch {
  readonly #problem: PlacementProblem;
  readonly #board: Board;
  readonly #order: readonly Question[];
  readonly #cost: number[];
  readonly #offsetOf: (priority: number) => number;
  readonly #depthOf: ReadonlyMap<ApplicantNo, number>;
  /** 1 for devices that somebody would miss: they are like no other. */
  readonly #special: Uint8Array;
  /** Sets of devices by neuron and width. */
  readonly #sets = new Map<number, readonly (readonly DeviceNo[])[]>();
  readonly #splits: FreeSplits;
  /** For the orders of loads. */
  readonly #effort: Effort;
  #nodesLeft: number;
  /** The least cost of a placement for which no order of the loads was found. */
  #unreached: readonly number[] | undefined;
  #bestCost: readonly number[];
  #best: Board;

  constructor(problem: PlacementProblem, { nodes, incumbent }: ExactOptions) {
    this.#problem = problem;
    this.#board = emptyBoard(problem);
    this.#nodesLeft = nodes;
    this.#effort = { left: nodes };
    this.#splits = new FreeSplits(this.#board, this.#effort);
    this.#offsetOf = tierOffsets(problem);
    this.#cost = noCost(problem);
    this.#best = incumbent ?? new Board(problem);
    this.#bestCost = tiersOf(this.#best);
    this.#order = [...problem.applicants.keys()]
      .flatMap((applicant) => this.#questionsOf(applicant))
      .sort((left, right) => this.#byOrder(left, right));
    this.#depthOf = new Map(this.#order.map(({ applicant }, depth) => [applicant, depth]));
    this.#special = specialDevices(problem);
  }

  run(): ExactResult {
    this.#descend(0);
    const isBeaten = this.#unreached !== undefined && compareCosts(this.#unreached, this.#bestCost) < 0;
    return { board: this.#best, isProved: this.#nodesLeft > 0 && !isBeaten };
  }

  #questionsOf(applicant: ApplicantNo): Question[] {
    const { home, movable } = itemAt(this.#problem.applicants, applicant);
    const isSpread = this.#board.modelOf(applicant).width > 1;
    if (home === null) return [{ applicant, asks: "place", order: isSpread ? 3 : 1 }];
    // A copy that must stay where it is has its memory before anybody else is given any.
    if (!movable && home.current) return [{ applicant, asks: "stay", order: 0 }];
    const first = movable ? 1 : 0;
    if (!isSpread) return [{ applicant, asks: "stay or place", order: first }];
    return [
      { applicant, asks: "stay", order: Math.min(2, first * 2) },
      { applicant, asks: "place", order: 3 },
    ];
  }

  #byOrder(left: Question, right: Question): number {
    const [first, second] = [this.#board.modelOf(left.applicant), this.#board.modelOf(right.applicant)];
    const isAway = ({ applicant }: Question): number =>
      itemAt(this.#problem.applicants, applicant).home === null ? 1 : 0;
    return (
      left.order - right.order ||
      second.priority - first.priority ||
      isAway(left) - isAway(right) ||
      first.width - second.width ||
      second.mib - first.mib ||
      left.applicant - right.applicant
    );
  }

  #descend(depth: number): void {
    if (this.#nodesLeft <= 0) return;
    this.#nodesLeft -= 1;
    if (compareCosts(this.#cost, this.#bestCost) >= 0 || this.#isHopeless(depth)) return;
    const question = this.#order[depth];
    if (question === undefined) this.#finish();
    else if (question.asks === "stay") this.#branchOnStaying(depth, question.applicant);
    else this.#branch(depth, question);
  }

  /** Stays as it is, or is asked for its place later on; a protected copy with the declared settings stays. */
  #branchOnStaying(depth: number, applicant: ApplicantNo): void {
    const { home, movable } = itemAt(this.#problem.applicants, applicant);
    if (home !== null) this.#tryHome(depth, applicant, home);
    if (movable || home?.current !== true) this.#descend(depth + 1);
  }

  #branch(depth: number, { applicant, asks }: Question): void {
    if (this.#board.places[applicant] !== undefined) {
      this.#descend(depth + 1);
      return;
    }
    const { home, movable } = itemAt(this.#problem.applicants, applicant);
    if (home !== null && asks === "stay or place") this.#tryHome(depth, applicant, home);
    for (const place of this.#options(this.#board.modelOf(applicant), home?.place))
      this.#tryPlace(depth, applicant, place);
    if (home === null || movable) this.#tryNothing(depth, applicant);
  }

  /** Memory only gets less on the way down: who fits nowhere now is missing in the end. */
  #isHopeless(depth: number): boolean {
    let cost: number[] | undefined;
    for (let rank = depth; rank < this.#order.length; rank += 1) {
      const { applicant, asks } = this.#order[rank] as Question;
      if (asks === "stay" || this.#mayFit(applicant)) continue;
      cost ??= [...this.#cost];
      const tier = this.#tier(applicant) + TIER.missing;
      cost[tier] = (cost[tier] as number) + 1;
    }
    return cost !== undefined && compareCosts(cost, this.#bestCost) >= 0;
  }

  #mayFit(applicant: ApplicantNo): boolean {
    const { home } = itemAt(this.#problem.applicants, applicant);
    if (home !== null) return true;
    const model = this.#board.modelOf(applicant);
    const least = Math.max(1, model.mib);
    for (const neuron of model.open.keys()) {
      const isOpen = at(model.open, neuron) === 1;
      if (isOpen && at(this.#board.largestFree, neuron) * model.width >= least) return true;
    }
    return false;
  }

  #tryHome(depth: number, applicant: ApplicantNo, home: Home): void {
    const { place } = home;
    const mayStay = this.#board.hasFree(place) || !itemAt(this.#problem.applicants, applicant).movable;
    if (!mayStay || this.#board.hosts(this.#board.modelOf(applicant), place.neuron)) return;
    const tier = this.#tier(applicant) + TIER.outdated;
    const outdated = home.current ? 0 : 1;
    this.#add(tier, outdated);
    this.#board.stay(applicant, place);
    if (this.#splits.fitOn(place.neuron)) this.#descend(depth + 1);
    this.#board.lift(applicant);
    this.#add(tier, -outdated);
  }

  #tryPlace(depth: number, applicant: ApplicantNo, place: Place): void {
    const { home } = itemAt(this.#problem.applicants, applicant);
    const moved = home === null ? 0 : moveCost(home, place);
    const tier = this.#tier(applicant) + TIER.moved;
    this.#add(tier, moved);
    this.#board.put(applicant, place);
    if (this.#splits.fitOn(place.neuron)) this.#descend(depth + 1);
    this.#board.lift(applicant);
    this.#add(tier, -moved);
  }

  #tryNothing(depth: number, applicant: ApplicantNo): void {
    const tier = this.#tier(applicant);
    const model = this.#board.modelOf(applicant);
    const lost = itemAt(this.#problem.applicants, applicant).home === null ? 0 : 1;
    const others = model.applicants.filter((other) => other !== applicant);
    const depthOf = (other: ApplicantNo): number =>
      present(this.#depthOf.get(other), "the question of applicant", other);
    // The last of its copies to be decided: then the model is without any.
    const isLast = others.every((other) => depthOf(other) < depthOf(applicant));
    const without = isLast && others.every((other) => this.#board.places[other] === undefined) ? 1 : 0;
    this.#add(tier + TIER.lost, lost);
    this.#add(tier + TIER.without, without);
    this.#add(tier + TIER.missing, 1);
    this.#descend(depth + 1);
    this.#add(tier + TIER.lost, -lost);
    this.#add(tier + TIER.without, -without);
    this.#add(tier + TIER.missing, -1);
  }

  #tier(applicant: ApplicantNo): number {
    return this.#offsetOf(this.#board.modelOf(applicant).priority);
  }

  #add(tier: number, amount: number): void {
    this.#cost[tier] = (this.#cost[tier] as number) + amount;
  }

  #options(model: ProblemModel, home: Place | undefined): Place[] {
    const places: Place[] = [];
    for (const neuron of this.#problem.neurons.keys()) {
      if (at(model.open, neuron) === 0 || this.#board.hosts(model, neuron)) continue;
      for (const devices of this.#deviceSets(model.width, neuron)) {
        if (holds(this.#board, model, devices))
          places.push({ neuron, devices, mib: this.#splits.sharesOf(model, devices) });
      }
    }
    const isHome = (place: Place): number => (place.neuron === home?.neuron ? 0 : 1);
    const left = (place: Place): number =>
      place.devices.reduce((total, device) => total + at(this.#board.free, device), 0);
    return places.sort((one, other) => isHome(one) - isHome(other) || left(one) - left(other));
  }

  /** Every set of that many devices, sets that differ only in which of two alike devices they name but once. */
  #deviceSets(width: number, neuron: NeuronNo): readonly (readonly DeviceNo[])[] {
    const sets = this.#setsOf(neuron, width);
    if (sets.length < 2) return sets;
    const looks = new Map(this.#splits.devicesOf(neuron).map((device) => [device, this.#likeness(device)]));
    const seen = new Set<string>();
    return sets.filter((devices) => {
      const key = devices.map((device) => looks.get(device)).join(" ");
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }

  #setsOf(neuron: NeuronNo, width: number): readonly (readonly DeviceNo[])[] {
    const key = neuron * WIDTHS + width;
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const whole = this.#splits
      .devicesOf(neuron)
      .filter((device) => mayBeOn(itemAt(this.#problem.devices, device), { width, floorMib: 0 }));
    const sets = combinations(whole, width);
    this.#sets.set(key, sets);
    return sets;
  }

  /** Devices that nothing tells apart look the same; a device that somebody would miss is like no other. */
  #likeness(device: DeviceNo): string {
    if (at(this.#special, device) === 1) return `device ${device}`;
    const { totalMib, isPart } = itemAt(this.#problem.devices, device);
    return `${at(this.#board.free, device)}/${totalMib}/${isPart}/${this.#splits.guestsOf(device)}`;
  }

  /** All copies are decided: guests stay where they still fit. */
  #finish(): void {
    const readmitted = this.#guestsByRank().filter((guest) => {
      const stays = this.#mayStay(guest);
      if (stays) this.#board.readmit(guest);
      return stays;
    });
    if (!this.#keepIfBetter() && readmitted.length > 0) {
      for (const guest of readmitted) this.#board.evict(guest, undefined);
      this.#keepIfBetter();
      return;
    }
    for (const guest of readmitted) this.#board.evict(guest, undefined);
  }

  #keepIfBetter(): boolean {
    const cost = tiersOf(this.#board);
    if (compareCosts(cost, this.#bestCost) >= 0) return false;
    if (!this.#splits.canBeLoaded()) {
      if (this.#unreached === undefined || compareCosts(cost, this.#unreached) < 0) this.#unreached = cost;
      return false;
    }
    const replayed = replayedBoard(withBeneficiaries(this.#board), this.#effort);
    const replayedCost = tiersOf(replayed);
    if (compareCosts(replayedCost, this.#bestCost) >= 0) return false;
    this.#bestCost = replayedCost;
    this.#best = replayed;
    return true;
  }

  /** Those that matter most first. */
  #guestsByRank(): GuestNo[] {
    const { guests } = this.#problem;
    return [...guests.keys()].sort((left, right) => {
      const [first, second] = [itemAt(guests, left), itemAt(guests, right)];
      return second.priority - first.priority || second.lastUsedMs - first.lastUsedMs || left - right;
    });
  }

  #mayStay(guest: GuestNo): boolean {
    const { place } = itemAt(this.#problem.guests, guest);
    if (newcomersOn(this.#board, place).length === 0) return true;
    return this.#board.hasFree(place) && this.#splits.fitBeside(place);
  }
}

/** What is decided at one depth of the search. */
interface Question {
  readonly applicant: ApplicantNo;
  readonly asks: "stay" | "place" | "stay or place";
  /** 0: who must stay. 1: copies on one device. 2: which wide ones stay. 3: where the other wide ones go. */
  readonly order: number;
}

function specialDevices(problem: PlacementProblem): Uint8Array {
  const special = new Uint8Array(problem.devices.length);
  const homes = problem.applicants.flatMap(({ home }) => home?.place ?? []);
  for (const { devices } of [...homes, ...problem.guests.map(({ place }) => place)])
    for (const device of devices) special[device] = 1;
  return special;
}

/** Another board with the same placement on which every guest that left did so for somebody, and no other left. */
function withBeneficiaries(board: Board): Board {
  const clone = board.clone();
  for (const [guest, { place }] of board.problem.guests.entries()) {
    if (at(board.evicted, guest) === 0) continue;
    const [largest] = newcomersOn(board, place);
    if (largest === undefined) clone.readmit(guest);
    else clone.noteGuestLeftFor(guest, largest);
  }
  return clone;
}
