import { OnDemandRoom } from "../board/on-demand-room.ts";
import { Board, newcomersOn } from "../board/board.ts";
import { bestChoice, choiceOn, type Choice, type ChoiceOptions, type Style } from "../board/choice.ts";
import { Chains } from "./chains.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { replayedBoard } from "./replay.ts";
import { tiersOf } from "../board/tiers.ts";
import { Evictions } from "./evictions.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";
import type { PlacementProblem } from "../board/problem.ts";

/*
 * One pass over all copies, class by class. Copies that may stay do stay: they are on the board before anything is
 * placed. What is missing is then placed in an order that a strategy gives; what finds no place is repaired before a
 * lower class is placed, and whoever had to leave for it is placed again with its own class.
 *
 * No order is best for every fleet. Spreading keeps devices to themselves while there is room; packing the large ones
 * first wastes least when it is tight; and when a class asks for more than there is, the copies that would never all
 * fit have to stand back for the smaller ones. So a few passes are made and the best result is taken, compared tier
 * by tier; the first pass that leaves nothing to wish for ends it.
 */

export interface Strategy {
  readonly name: string;
  readonly style: Style;
  /** All classes together, sizes decide; a lower class gives way again where it must. */
  readonly joint: boolean;
  /**
   * The share of what is free that a class may fill large copies first; copies beyond it wait for the others. 1e9:
   * no copy waits.
   */
  readonly fill: number;
}

const ALL = 1e9;
/** A class that lacks room for more copies than this is not mended by moving single ones. */
const REPAIRS_PER_CLASS = 250;

export const STRATEGIES: readonly Strategy[] = [
  { name: "spread", style: "spread", joint: false, fill: ALL },
  { name: "pack", style: "tight", joint: false, fill: ALL },
  { name: "pack classes together", style: "tight", joint: true, fill: ALL },
  { name: "pack what can fit", style: "tight", joint: false, fill: 1 },
  { name: "pack a little less", style: "tight", joint: false, fill: 0.98 },
  { name: "smallest first", style: "tight", joint: false, fill: 0 },
];

/** A spread copy that loses its room in the order of the loads is looked after so many times. */
const MENDS = 3;

export function runStrategy(problem: PlacementProblem, strategy: Strategy): Board {
  const found = new Board(problem);
  new Pass(found, strategy).run();
  let best = replayedBoard(found);
  let bestCost = tiersOf(best);
  for (let mend = 0; mend < MENDS && compareCosts(bestCost, tiersOf(found)) > 0; mend += 1) {
    const board = best.clone();
    new Pass(board, strategy).mend();
    const replayed = replayedBoard(board);
    const cost = tiersOf(replayed);
    if (compareCosts(cost, bestCost) >= 0) break;
    best = replayed;
    bestCost = cost;
  }
  return best;
}

class Pass {
  readonly board: Board;
  readonly #strategy: Strategy;
  readonly #chains: Chains;
  readonly #evictions: Evictions;
  readonly #options: ChoiceOptions;

  constructor(board: Board, strategy: Strategy) {
    this.board = board;
    this.#strategy = strategy;
    this.#chains = new Chains(this.board);
    this.#evictions = new Evictions(this.board);
    const room = strategy.style === "spread" ? new OnDemandRoom(this.board) : undefined;
    this.#options = { style: strategy.style, room };
  }

  run(): void {
    if (this.#strategy.joint) this.#placeAll(this.#open());
    for (const priority of this.#classes()) {
      const inClass = (applicant: ApplicantNo): boolean =>
        this.board.modelOf(applicant).priority === priority;
      for (const isInRank of this.#ranks()) {
        this.#placeAll(this.#open().filter((applicant) => inClass(applicant) && isInRank(applicant)));
        this.#repairAll(this.#open().filter((applicant) => inClass(applicant) && isInRank(applicant)));
      }
    }
    this.#finish();
  }

  /** Finds room for what has none, class by class, on a board that is complete otherwise. */
  mend(): void {
    for (const priority of this.#classes())
      this.#repairAll(
        this.#open().filter((applicant) => this.board.modelOf(applicant).priority === priority),
      );
    this.#finish();
  }

  #finish(): void {
    this.#placeAll(this.#open());
    goHome(this.board);
    readmitGuests(this.board);
  }

  /** Highest first. */
  #classes(): number[] {
    const classes = new Set(this.board.problem.models.map(({ priority }) => priority));
    return [...classes].sort((left, right) => right - left);
  }

  /** Where not all will fit, every model gets its first copy before any gets its second. */
  #ranks(): readonly ((applicant: ApplicantNo) => boolean)[] {
    if (this.#strategy.fill === ALL) return [() => true];
    const isFirst = (applicant: ApplicantNo): boolean =>
      itemAt(this.board.problem.applicants, applicant).ordinal === 0;
    return [isFirst, (applicant) => !isFirst(applicant)];
  }

  /** Copies without a place, and those that run with old settings. */
  #open(): ApplicantNo[] {
    const { applicants } = this.board.problem;
    return applicants.flatMap(({ home }, applicant) => {
      const isOutdated = at(this.board.untouched, applicant) === 1 && home?.current === false;
      return this.board.places[applicant] === undefined || isOutdated ? [applicant] : [];
    });
  }

  #placeAll(open: readonly ApplicantNo[]): void {
    for (const applicant of this.#sorted(open)) {
      if (this.board.places[applicant] !== undefined) this.#renew(applicant, false);
      else this.#place(applicant);
    }
  }

  #place(applicant: ApplicantNo): boolean {
    const choice = bestChoice(this.board, applicant, this.#options);
    if (choice === undefined) return this.#seen(applicant, this.#evictions.placeBesideGuests(applicant));
    return this.#take(applicant, choice);
  }

  #take(applicant: ApplicantNo, choice: Choice): boolean {
    this.board.put(applicant, choice.place);
    return this.#seen(applicant, true);
  }

  #seen(applicant: ApplicantNo, isPlaced: boolean): boolean {
    const neuron = this.board.places[applicant]?.neuron;
    if (isPlaced && neuron !== undefined) this.#options.room?.refresh(neuron);
    return isPlaced;
  }

  #repairAll(open: readonly ApplicantNo[]): void {
    for (const applicant of this.#sorted(open).slice(0, REPAIRS_PER_CLASS)) {
      if (this.board.places[applicant] !== undefined) this.#renew(applicant, true);
      else this.#repairOne(applicant);
    }
    if (this.#options.room === undefined) return;
    for (const neuron of this.board.problem.neurons.keys()) this.#options.room.refresh(neuron);
  }

  #repairOne(applicant: ApplicantNo): boolean {
    if (this.#place(applicant) || this.#chains.placeByChain(applicant)) return true;
    const victims = this.#evictions.placeByClass(applicant);
    if (victims === undefined) return false;
    for (const victim of this.#sorted(victims)) this.#place(victim);
    return true;
  }

  /** New settings in the old place if they fit there, else elsewhere, else the old copy stays as it is. */
  #renew(applicant: ApplicantNo, mayDisturb: boolean): void {
    const { board } = this;
    const home = board.lift(applicant);
    if (home === undefined) return;
    const model = board.modelOf(applicant);
    // Its neuron may take no new work: then the copy goes elsewhere, or is left as it is.
    const mayReturn = at(model.open, home.neuron) === 1;
    const inPlace = mayReturn ? choiceOn(board, { model, neuron: home.neuron }, this.#options) : undefined;
    const isRenewed =
      inPlace !== undefined
        ? this.#take(applicant, inPlace)
        : this.#evictions.placeBesideGuests(applicant, home.neuron) || this.#place(applicant);
    if (isRenewed || (mayDisturb && this.#repairOne(applicant))) return;
    board.putBack(applicant, home, 1);
  }

  #sorted(applicants: readonly ApplicantNo[]): ApplicantNo[] {
    const late = this.#standingBack(applicants);
    return applicants
      .map((applicant) => ({ applicant, rank: this.#rankOf(applicant, late.has(applicant)) }))
      .sort((left, right) => compareCosts(left.rank, right.rank) || left.applicant - right.applicant)
      .map(({ applicant }) => applicant);
  }

  /** When a copy is placed: figures to be compared one after another, the smallest first. */
  #rankOf(applicant: ApplicantNo, isLate: boolean): readonly number[] {
    const { board } = this;
    const { priority, width, mib, openCount } = board.modelOf(applicant);
    const { ordinal } = itemAt(board.problem.applicants, applicant);
    const head = [
      this.#strategy.joint ? 0 : -priority,
      board.places[applicant] === undefined ? 0 : -1,
      isLate ? 1 : 0,
      isLate ? mib : 0,
    ];
    const tail = [-mib, openCount, ordinal];
    if (this.#strategy.style === "spread") return [...head, Math.min(1, ordinal), openCount, ...tail];
    // Whoever has few places to go to takes them before they are full.
    const isChoosy = openCount * 4 < board.problem.neurons.length;
    return [...head, isChoosy ? -1 : 0, -width, ...tail];
  }

  /** The largest copies, as many as it takes for the others to fit into what is free. */
  #standingBack(applicants: readonly ApplicantNo[]): ReadonlySet<number> {
    if (this.#strategy.fill === ALL) return new Set();
    const { board } = this;
    const freeMib = board.free.reduce((total, free) => total + Math.max(0, free), 0);
    let left = freeMib * this.#strategy.fill;
    const late = new Set<ApplicantNo>();
    const smallestFirst = applicants.toSorted(
      (one, other) => board.modelOf(one).mib - board.modelOf(other).mib || one - other,
    );
    for (const applicant of smallestFirst) {
      left -= board.modelOf(applicant).mib;
      if (left < 0) late.add(applicant);
    }
    return late;
  }
}

/** Copies that were moved and could have stayed do stay. */
function goHome(board: Board): void {
  for (const [applicant, { home }] of board.problem.applicants.entries()) {
    const place = board.places[applicant];
    if (home === null || !home.current || place === undefined || at(board.untouched, applicant) === 1)
      continue;
    board.lift(applicant);
    const mayStay = !board.hosts(board.modelOf(applicant), home.place.neuron) && board.hasFree(home.place);
    if (mayStay) board.stay(applicant, home.place);
    else board.put(applicant, place);
  }
}

/** Guests that were asked to leave in vain stay, also where a device is fuller than it can be and nobody comes. */
export function readmitGuests(board: Board): void {
  for (const [guest, { place }] of board.problem.guests.entries()) {
    const isInTheWay = !board.hasFree(place) && newcomersOn(board, place).length > 0;
    if (at(board.evicted, guest) === 1 && !isInTheWay) board.readmit(guest);
  }
}
