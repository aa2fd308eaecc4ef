import type { Board } from "../board/board.ts";
import { at, type ApplicantNo } from "../board/numbers.ts";
import type { Place } from "../board/problem.ts";

interface Entry {
  readonly kind: "put" | "lift";
  readonly applicant: ApplicantNo;
  readonly place: Place;
  readonly untouched: number;
  readonly leftFor: ApplicantNo | undefined;
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

  put(applicant: ApplicantNo, place: Place): void {
    const leftFor = this.#board.copyLeftFor(applicant);
    this.#board.put(applicant, place);
    this.#entries.push({ kind: "put", applicant, place, untouched: 0, leftFor });
  }

  /** Takes a copy off its place for the sake of another one. */
  lift(applicant: ApplicantNo, inFavourOf: ApplicantNo): void {
    const board = this.#board;
    const place = board.places[applicant];
    if (place === undefined) return;
    const untouched = at(board.untouched, applicant);
    const leftFor = board.copyLeftFor(applicant);
    board.liftFor(applicant, inFavourOf);
    this.#entries.push({ kind: "lift", applicant, place, untouched, leftFor });
  }

  /** Puts a lifted copy back where it was; taking that back lifts it again. */
  restore(applicant: ApplicantNo): void {
    const entry = this.#entries.findLast((candidate) => candidate.applicant === applicant);
    if (entry?.kind !== "lift") return;
    this.#board.putBack(applicant, entry.place, entry.untouched);
    this.#entries.push({ ...entry, kind: "put" });
  }

  undoTo(mark: number): void {
    while (this.#entries.length > mark) {
      const entry = this.#entries.pop();
      if (entry === undefined) return;
      if (entry.kind === "put") this.#board.lift(entry.applicant);
      else this.#board.putBack(entry.applicant, entry.place, entry.untouched);
      this.#board.noteCopyLeftFor(entry.applicant, entry.leftFor);
    }
  }

  /** What happened so far stands. */
  forget(): void {
    this.#entries.length = 0;
  }
}
