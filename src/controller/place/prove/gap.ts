import type { Board } from "../board/board.ts";
import { packingBound, type WantedItems } from "./pattern-bound.ts";
import type { PlacementGap } from "../board/placement.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";

/*
 * How far a placement can be from the best one. The tiers are compared in their order, so the question is put class by
 * class, highest first, always for "this class and higher": how many loaded copies could keep a place at most; once that
 * is proved to be what they have, how many models could have a copy; and then, how many copies could have a place.
 * What is decided by then is worth so much in the bound that no better placement can do without it. The first question
 * that is not answered with "no more than now" states the gap; what comes after it cannot be compared any more and is
 * not.
 */

/** More than all the small copies that would fit into the place of a large one. */
const DECIDED_WORTH = 64;

interface Answer {
  readonly value: number;
  readonly bound: number;
}

export function gapOf(board: Board, options: { readonly prove: boolean }): PlacementGap {
  const placed = board.places.filter((place) => place !== undefined).length;
  if (placed === board.places.length) return optimal(placed, "heuristic");
  if (!options.prove)
    return { kind: "unknown", percent: null, counts: "copies", placed, bound: null, engine: "heuristic" };
  const engine = "heuristic + pattern bound";
  const classes = [...new Set(board.problem.models.map(({ priority }) => priority))].sort((a, b) => b - a);
  for (const priority of classes) {
    for (const counts of ["loaded", "models", "copies"] as const) {
      const { value, bound } = new Prefix(board, priority).ask(counts);
      if (bound <= value) continue;
      return { kind: "within", percent: percentOf(value, bound), counts, placed: value, bound, engine };
    }
  }
  return optimal(placed, engine);
}

const percentOf = (placed: number, bound: number): number =>
  Math.ceil(((bound - placed) / bound) * 100_000) / 1000;

/** The distance of a placement that was made without so many copies that are wanted all the same. */
export function withMoreWanted(gap: PlacementGap, copies: number): PlacementGap {
  if (copies === 0 || gap.bound === null || gap.counts !== "copies") return gap;
  const bound = gap.bound + copies;
  return { ...gap, kind: "within", percent: percentOf(gap.placed, bound), bound };
}

/** Nothing better exists, as `engine` has proved. */
export const optimal = (placed: number, engine: string): PlacementGap => ({
  kind: "optimal",
  percent: 0,
  counts: "copies",
  placed,
  bound: placed,
  engine,
});

/** A class and all higher ones. */
class Prefix {
  readonly #board: Board;
  readonly #priority: number;
  readonly #applicants: readonly ApplicantNo[];

  constructor(board: Board, priority: number) {
    this.#board = board;
    this.#priority = priority;
    this.#applicants = [...board.places.keys()].filter(
      (applicant) => board.modelOf(applicant).priority >= priority,
    );
  }

  ask(counts: PlacementGap["counts"]): Answer {
    const value = this.#count(
      this.#applicants.filter((applicant) => this.#isPlaced(applicant)),
      counts,
    );
    const wanted = this.#count(this.#applicants, counts);
    if (value === wanted) return { value, bound: value };
    const weighed = this.#applicants.map((applicant) => ({ applicant, ...this.#worthOf(applicant, counts) }));
    const items = weighed.map(({ applicant, worth }) => this.#item(applicant, worth));
    // What the weights count beyond one for each copy or model; a hair of tolerance for sums of inexact numbers.
    const surplus = weighed.reduce((total, { excess }) => total + excess, 0);
    const bound = Math.floor(packingBound(items, roomsOf(this.#board)) - surplus + 1e-6);
    return { value, bound: Math.min(wanted, Math.max(value, bound)) };
  }

  #count(applicants: readonly ApplicantNo[], counts: PlacementGap["counts"]): number {
    if (counts === "models")
      return new Set(applicants.map((applicant) => this.#board.modelOf(applicant))).size;
    return counts === "copies"
      ? applicants.length
      : applicants.filter((applicant) => this.#isLoaded(applicant)).length;
  }

  /**
   * `excess`: what a placement as good as this one certainly collects beyond the count itself. Of what is decided the
   * number is known and not which copies they are, so all that may be among them are worth as much.
   */
  #worthOf(
    applicant: ApplicantNo,
    counts: PlacementGap["counts"],
  ): { readonly worth: number; readonly excess: number } {
    const isFirst = this.#isFirst(applicant);
    const own = this.#countsAs(applicant, counts);
    const excessOver = (worth: number): number => (this.#isPlaced(applicant) ? worth - own : 0);
    const isHigher = this.#board.modelOf(applicant).priority > this.#priority;
    const isDecided = isHigher || (counts !== "loaded" && this.#isLoaded(applicant));
    if (isDecided) return { worth: DECIDED_WORTH, excess: excessOver(DECIDED_WORTH) };
    const firstWorth = DECIDED_WORTH / 4;
    if (counts === "copies" && isFirst) return { worth: firstWorth, excess: excessOver(firstWorth) };
    return { worth: own, excess: 0 };
  }

  #countsAs(applicant: ApplicantNo, counts: PlacementGap["counts"]): 0 | 1 {
    if (counts === "copies") return 1;
    return (counts === "models" ? this.#isFirst(applicant) : this.#isLoaded(applicant)) ? 1 : 0;
  }

  #item(applicant: ApplicantNo, worth: number): WantedItems {
    const { mib, width, openCount } = this.#board.modelOf(applicant);
    const isPossible = openCount > 0 || this.#isLoaded(applicant);
    return { mib, width, count: isPossible ? 1 : 0, worth };
  }

  /** The copy by which its model counts as served: one that has a place, if any. */
  #isFirst(applicant: ApplicantNo): boolean {
    const { applicants } = this.#board.modelOf(applicant);
    return applicant === (applicants.find((other) => this.#isPlaced(other)) ?? applicants[0]);
  }

  #isLoaded(applicant: ApplicantNo): boolean {
    return itemAt(this.#board.problem.applicants, applicant).home !== null;
  }

  #isPlaced(applicant: ApplicantNo): boolean {
    return this.#board.places[applicant] !== undefined;
  }
}

/** Devices on which something may be placed, or stays: their room without copies and guests. */
function roomsOf(board: Board): number[] {
  const { models, devices, neurons, applicants } = board.problem;
  const usable = new Uint8Array(neurons.length);
  for (const open of new Set(models.map((model) => model.open)))
    for (const neuron of neurons.keys()) if (at(open, neuron) === 1) usable[neuron] = 1;
  for (const { home } of applicants) if (home !== null) usable[home.place.neuron] = 1;
  return devices.filter(({ neuron }) => at(usable, neuron) === 1).map(({ roomMib }) => roomMib);
}
