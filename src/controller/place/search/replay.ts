import { Board, isSamePlace, shareOn } from "../board/board.ts";
import { bestChoice, holds } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { tiersOf } from "../board/tiers.ts";
import { present } from "../../../core/present.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";
import type { Place } from "../board/problem.ts";

/*
 * A model on several devices is split by what is free on them when it is loaded, so its shares depend on who is there
 * at that moment. A search puts copies on and takes them off in an order of its own; here its result is played once
 * more in the order in which it will be carried out: who stays is there from the beginning, who leaves has left, and
 * then the others come, those on one device first, because a spread one makes do with what they leave; one for whose
 * room another has to be renewed first comes after that. What no longer fits looks for another place, or has none.
 *
 * A copy that is renewed where it stands holds its memory until its turn comes, and a spread one then takes room that
 * was meant for another. Where that costs somebody a place the game is played again, and such copies leave early: they
 * are down from the beginning, the other one is loaded, and then the new settings.
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
  const game = { wanted, arrivals };
  const inTurn = play(found, { ...game, early: new Map(), onNoRoom: () => undefined });
  const renewals = new Set(
    arrivals.filter((arrival) => isRenewal(found, arrival)).map(({ applicant }) => applicant),
  );
  if (renewals.size === 0 || compareCosts(tiersOf(inTurn), tiersOf(found)) <= 0) return inTurn;
  const withWay = playWithWay(found, game, renewals);
  return compareCosts(tiersOf(withWay), tiersOf(inTurn)) < 0 ? withWay : inTurn;
}

/** Begins anew whenever somebody turns out to be in the way: who leaves early is gone before anybody is loaded. */
function playWithWay(
  found: Board,
  game: Pick<Game, "wanted" | "arrivals">,
  renewals: ReadonlySet<ApplicantNo>,
): Board {
  const early = new Map<ApplicantNo, ApplicantNo>();
  for (;;) {
    const known = early.size;
    const onNoRoom = (board: Board, arrival: Arriving): void => {
      if (early.size > known) return;
      for (const applicant of inTheWay(board, arrival, renewals)) early.set(applicant, arrival.applicant);
    };
    const board = play(found, { ...game, early: new Map(early), onNoRoom });
    if (early.size === known) return board;
  }
}

interface Game {
  readonly wanted: readonly Wanted[];
  /** In their order. */
  readonly arrivals: readonly Arriving[];
  /** Copies that leave before they are renewed, and for whom. */
  readonly early: ReadonlyMap<ApplicantNo, ApplicantNo>;
  /** Is told of a copy for which there is no room while others have not come. */
  readonly onNoRoom: (board: Board, arrival: Arriving) => void;
}

function play(found: Board, { wanted, arrivals, early, onNoRoom }: Game): Board {
  const board = new Board(found.problem);
  for (const guest of board.problem.guests.keys())
    if (at(found.evicted, guest) === 1) board.evict(guest, found.guestLeftFor(guest));
  for (const { applicant, place } of wanted) if (leavesFirst(found, applicant, place)) board.lift(applicant);
  board.adoptBeneficiaries(found);
  for (const [applicant, inFavourOf] of early) board.liftEarly(applicant, inFavourOf);
  const mayArrive = (arrival: Arriving): boolean => {
    const isThere = arrives(board, arrival);
    if (!isThere) onNoRoom(board, arrival);
    return isThere;
  };
  for (let waiting = arrivals; waiting.length > 0;) {
    const still = waiting.filter((arrival) => !mayArrive(arrival));
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

type Arriving = Wanted & { readonly place: Place };

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

/** Whether the copy is loaded with new settings where it stands. */
function isRenewal(found: Board, { applicant, place }: Arriving): boolean {
  const home = itemAt(found.problem.applicants, applicant).home;
  return home !== null && !home.current && isSamePlace(home.place, place);
}

/** False, and nothing changed, while there is no room at its place. */
function arrives(board: Board, { applicant, place: { neuron, devices } }: Arriving): boolean {
  const model = board.modelOf(applicant);
  const old = board.lift(applicant);
  const fits = !board.hosts(model, neuron) && holds(board, model, devices);
  if (fits) board.put(applicant, { neuron, devices, mib: board.split(model, devices) });
  else if (old !== undefined) board.putBack(applicant, old, 1);
  return fits;
}

/** Others that are renewed there and without which the copy had room, as few as will do; none where that is no help. */
function inTheWay(
  board: Board,
  arrival: Arriving,
  renewals: ReadonlySet<ApplicantNo>,
): readonly ApplicantNo[] {
  const lifted: { readonly applicant: ApplicantNo; readonly home: Place }[] = [];
  for (const applicant of waitingAt(board, arrival, renewals)) {
    if (hasRoom(board, arrival)) break;
    lifted.push({ applicant, home: present(board.lift(applicant), "the home of a copy") });
  }
  const helps = hasRoom(board, arrival);
  const needed: ApplicantNo[] = [];
  for (const { applicant, home } of lifted) {
    board.putBack(applicant, home, 1);
    if (!helps || hasRoom(board, arrival)) continue;
    board.lift(applicant);
    needed.push(applicant);
  }
  for (const { applicant, home } of lifted) if (needed.includes(applicant)) board.putBack(applicant, home, 1);
  return needed;
}

function hasRoom(board: Board, { applicant, place: { neuron, devices } }: Arriving): boolean {
  const model = board.modelOf(applicant);
  return board.without(applicant, () => !board.hosts(model, neuron) && holds(board, model, devices));
}

/** Copies on the same devices whose turn has not come; those whose absence matters least first, then the largest. */
function waitingAt(
  board: Board,
  { applicant: newcomer, place: { neuron, devices } }: Arriving,
  renewals: ReadonlySet<ApplicantNo>,
): ApplicantNo[] {
  const isHeld = (applicant: ApplicantNo): number =>
    itemAt(board.problem.applicants, applicant).movable ? 0 : 1;
  return itemAt(board.hosted, neuron)
    .filter((applicant) => applicant !== newcomer && renewals.has(applicant))
    .filter((applicant) => at(board.untouched, applicant) === 1)
    .filter((applicant) => devices.some((device) => shareOn(board.places[applicant], device) > 0))
    .toSorted((left, right) => {
      const [first, second] = [board.modelOf(left), board.modelOf(right)];
      return (
        isHeld(left) - isHeld(right) ||
        first.priority - second.priority ||
        second.mib - first.mib ||
        left - right
      );
    });
}

function arriveElsewhere(board: Board, applicant: ApplicantNo): void {
  const old = board.lift(applicant);
  const choice = bestChoice(board, applicant, { style: "tight" });
  if (choice !== undefined) board.put(applicant, choice.place);
  else if (old !== undefined) board.putBack(applicant, old, 1);
}
