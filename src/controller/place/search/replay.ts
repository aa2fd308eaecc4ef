import { Board, isSamePlace } from "../board/board.ts";
import { bestChoice, holds } from "../board/choice.ts";
import { present } from "../../../core/present.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";
import type { Place } from "../board/problem.ts";

/*
 * A model on several devices is split by what is free on them when it is loaded, so its shares depend on who is there
 * at that moment. A search puts copies on and takes them off in an order of its own; here its result is played once
 * more in the order in which it will be carried out: who stays is there from the beginning, who leaves has left, and
 * then the others come, those on one device first, because a spread one makes do with what they leave; one for whose
 * room another has to be renewed first comes after that. What no longer fits looks for another place, or has none.
 */
export function replayedBoard(found: Board): Board {
  const wanted = wantedPlaces(found);
  const arrivals = wanted
    .flatMap(({ applicant, place, rank }) =>
      place === undefined || stays(found, applicant, place) ? [] : [{ applicant, place, rank }],
    )
    .sort((left, right) => isSpread(found, left) - isSpread(found, right) || left.rank - right.rank);
  const isUnchanged = wanted.every(({ applicant, place }) => found.places[applicant] === place);
  if (isUnchanged && !arrivals.some(({ applicant }) => found.modelOf(applicant).width > 1)) return found;
  const board = new Board(found.problem);
  for (const guest of board.problem.guests.keys())
    if (at(found.evicted, guest) === 1) board.evict(guest, found.guestLeftFor(guest));
  for (const { applicant, place } of wanted) if (leavesFirst(found, applicant, place)) board.lift(applicant);
  board.adoptBeneficiaries(found);
  for (let waiting = arrivals; waiting.length > 0;) {
    const still = waiting.filter(({ applicant, place }) => !arrives(board, applicant, place));
    const [first] = still;
    if (still.length === waiting.length && first !== undefined) arriveElsewhere(board, first.applicant);
    waiting = still.length === waiting.length ? still.slice(1) : still;
  }
  return board;
}

const isSpread = (board: Board, { applicant }: Pick<Wanted, "applicant">): number =>
  Math.min(1, board.modelOf(applicant).width - 1);

interface Wanted {
  readonly applicant: ApplicantNo;
  readonly place: Place | undefined;
  /** When the place was given away. */
  readonly rank: number;
}

/** The place of each copy; a copy that would leave its home to another copy of its model comes home in its stead. */
function wantedPlaces(found: Board): Wanted[] {
  const wanted = [...found.places.entries()].map(([applicant, place]): Wanted => ({
    applicant,
    place,
    rank: at(found.rank, applicant),
  }));
  for (const [applicant, { home }] of found.problem.applicants.entries()) {
    if (home === null || found.places[applicant]?.neuron === home.place.neuron) continue;
    const successor = found
      .modelOf(applicant)
      .applicants.find((other) => wanted[other]?.place?.neuron === home.place.neuron);
    if (successor === undefined) continue;
    const [mine, theirs] = [present(wanted[applicant], "a copy"), present(wanted[successor], "a copy")];
    wanted[applicant] = { ...theirs, applicant };
    wanted[successor] = { ...mine, applicant: successor };
  }
  return wanted;
}

/** Whether the copy is there already, and stays exactly as it is loaded. */
function stays(found: Board, applicant: ApplicantNo, place: Place): boolean {
  if (found.places[applicant] === place) return at(found.untouched, applicant) === 1;
  const home = itemAt(found.problem.applicants, applicant).home;
  return home !== null && home.current && isSamePlace(home.place, place);
}

/** Whether the copy leaves its home first: only one that is renewed on its devices is there until it is loaded again. */
function leavesFirst(found: Board, applicant: ApplicantNo, place: Place | undefined): boolean {
  const home = itemAt(found.problem.applicants, applicant).home;
  if (home === null || (place !== undefined && stays(found, applicant, place))) return false;
  return place === undefined || home.current || !isSamePlace(home.place, place);
}

/** False, and nothing changed, while there is no room at its place. */
function arrives(board: Board, applicant: ApplicantNo, { neuron, devices }: Place): boolean {
  const model = board.modelOf(applicant);
  const old = board.lift(applicant);
  const fits = !board.hosts(model, neuron) && holds(board, model, devices);
  if (fits) board.put(applicant, { neuron, devices, mib: board.split(model, devices) });
  else if (old !== undefined) board.putBack(applicant, old, 1);
  return fits;
}

function arriveElsewhere(board: Board, applicant: ApplicantNo): void {
  const old = board.lift(applicant);
  const choice = bestChoice(board, applicant, { style: "tight" });
  if (choice !== undefined) board.put(applicant, choice.place);
  else if (old !== undefined) board.putBack(applicant, old, 1);
}
