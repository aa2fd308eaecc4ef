import { at, type Board } from "../board/board.ts";
import type { Place } from "../board/problem.ts";

interface Entry {
  readonly kind: "put" | "lift";
  readonly demand: number;
  readonly place: Place;
  readonly untouched: number;
  readonly leftFor: number;
}

/** What a search has tried on a board, so that it can be taken back. */
export class Journal {
  readonly #board: Board;
  readonly #entries: Entry[] = [];

  constructor(board: Board) {
    this.#board = board;
  }

  mark(): number {
    return this.#entries.length;
  }

  put(demand: number, place: Place): void {
    const leftFor = at(this.#board.copyLeftFor, demand);
    this.#board.put(demand, place);
    this.#entries.push({ kind: "put", demand, place, untouched: 0, leftFor });
  }

  /** Takes a copy off its place for the sake of another one. */
  lift(demand: number, inFavourOf: number): void {
    const board = this.#board;
    const place = board.places[demand];
    if (place === undefined) return;
    const untouched = at(board.untouched, demand);
    const leftFor = at(board.copyLeftFor, demand);
    board.lift(demand);
    if (untouched === 1) board.copyLeftFor[demand] = inFavourOf;
    this.#entries.push({ kind: "lift", demand, place, untouched, leftFor });
  }

  /** Puts a lifted copy back where it was; taking that back lifts it again. */
  restore(demand: number): void {
    const entry = this.#entries.findLast((candidate) => candidate.demand === demand);
    if (entry?.kind !== "lift") return;
    this.#board.putBack(demand, entry.place, entry.untouched);
    this.#entries.push({ ...entry, kind: "put" });
  }

  undoTo(mark: number): void {
    while (this.#entries.length > mark) {
      const entry = this.#entries.pop();
      if (entry === undefined) return;
      if (entry.kind === "put") this.#board.lift(entry.demand);
      else this.#board.putBack(entry.demand, entry.place, entry.untouched);
      this.#board.copyLeftFor[entry.demand] = entry.leftFor;
    }
  }

  /** What happened so far stands. */
  forget(): void {
    this.#entries.length = 0;
  }
}
