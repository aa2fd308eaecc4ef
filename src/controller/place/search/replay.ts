import { Board, isSamePlace, shareOn } from "../board/board.ts";
import { bestChoice, holds } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { tiersOf } from "../board/tiers.ts";
import { present } from "../../../core/present.ts";
import { at, itemAt, type ApplicantNo, type NeuronNo } from "../board/numbers.ts";
import { devicesOf, type Place } from "../board/problem.ts";
import { orderOfLoads, type Effort, type Load } from "./load-order.ts";

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
 *
 * Where somebody still misses its place, all orders of the loads of a neuron are tried (`load-order.ts`).
 */
export function replayedBoard(found: Board, effort: Effort = { left: LOADS_TRIED }): Board {
  const game = gameOf(found);
  const { wanted, arrivals } = game;
  const isUnchanged = wanted.every(({ applicant, place }) => found.places[applicant] === place);
  if (isUnchanged && !arrivals.some((arrival) => isSpread(found, arrival) === 1)) return found;
  const wish = tiersOf(found);
  let best = play(found, { ...game, early: new Map(), onNoRoom: () => undefined });
  for (const tryOther of [playWithWay, playInOrder]) {
    if (compareCosts(tiersOf(best), wish) <= 0) return best;
    const other = tryOther(found, game, effort);
    if (other !== undefined && compareCosts(tiersOf(other), tiersOf(best)) < 0) best = other;
  }
  return best;
}

/** For all neurons together. */
const LOADS_TRIED = 5000;

function gameOf(found: Board): Pick<Game, "wanted" | "arrivals"> {
  const wanted = wantedPlaces(found);
  const arrivals = wanted
    .flatMap(({ applicant, place, rank }) =>
      place === undefined || stays(found, applicant, place) ? [] : [{ applicant, place, rank }],
    )
    .sort((left, right) => isSpread(found, left) - isSpread(found, right) || left.rank - right.rank);
  return { wanted, arrivals };
}

/** In another order of the loads, where one is found in which those of a neuron fit; undefined where there is none. */
function playInOrder(
  found: Board,
  game: Pick<Game, "wanted" | "arrivals">,
  effort: Effort,
): Board | undefined {
  const start = openedBoard(found, { wanted: game.wanted, early: new Map() });
  const early = new Map<ApplicantNo, ApplicantNo>();
  const arrivals = [...Map.groupBy(game.arrivals, ({ place }) => place.neuron)].flatMap(([neuron, mine]) => {
    const order = isOrderOpen(found, mine)
      ? loadOrderOn(start, { neuron, arrivals: mine }, effort)
      : undefined;
    for (const [applicant, inFavourOf] of order?.early ?? []) early.set(applicant, inFavourOf);
    return order?.arrivals ?? mine;
  });
  const isSame = early.size === 0 && arrivals.every((arrival, rank) => game.arrivals[rank] === arrival);
  return isSame ? undefined : play(found, { ...game, arrivals, early, onNoRoom: () => undefined });
}

/** Whether it can matter who is loaded first. */
const isOrderOpen = (board: Board, arrivals: readonly Arriving[]): boolean =>
  arrivals.length > 1 && arrivals.some((arrival) => isSpread(board, arrival) === 1);

interface OrderedArrivals {
  readonly arrivals: readonly Arriving[];
  /** Copies that leave before they are renewed, and for whom. */
  readonly early: readonly (readonly [ApplicantNo, ApplicantNo])[];
}

/** `start`: nobody has arrived, and whoever leaves has left. */
function loadOrderOn(
  start: Board,
  { neuron, arrivals }: { readonly neuron: NeuronNo; readonly arrivals: readonly Arriving[] },
  effort: Effort,
): OrderedArrivals | undefined {
  const devices = devicesOf(start.problem, neuron);
  const loads = arrivals.map(({ applicant, place }): Load => {
    const model = start.modelOf(applicant);
    const old = start.places[applicant];
    const renews = old === undefined ? undefined : devices.map((device) => shareOn(old, device));
    const positions = place.devices.map((device) => devices.indexOf(device));
    return { devices: positions, mib: model.mib, sizeKnown: model.sizeKnown, renews };
  });
  const free = devices.map((device) => at(start.free, device));
  const found = orderOfLoads(free, loads, effort);
  if (found === undefined) return undefined;
  const inOrder = found.order.map((position) => present(arrivals[position], "load", position));
  const early = found.early.map((position) => {
    const { applicant, place } = present(arrivals[position], "load", position);
    return [applicant, firstOn(inOrder, place) ?? applicant] as const;
  });
  return { arrivals: inOrder, early };
}

/** Who is loaded first on some of these devices. */
const firstOn = (inOrder: readonly Arriving[], { devices }: Place): ApplicantNo | undefined =>
  inOrder.find(({ place }) => place.devices.some((device) => devices.includes(device)))?.applicant;

/** Begins anew whenever somebody turns out to be in the way: who leaves early is gone before anybody is loaded. */
function playWithWay(found: Board, game: Pick<Game, "wanted" | "arrivals">): Board | undefined {
  const renewals = new Set(
    game.arrivals.filter((arrival) => isRenewal(found, arrival)).map(({ applicant }) => applicant),
  );
  if (renewals.size === 0) return undefined;
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
  const board = openedBoard(found, { wanted, early });
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

/** Nobody has arrived, and whoever leaves has left. */
function openedBoard(found: Board, { wanted, early }: Pick<Game, "wanted" | "early">): Board {
  const board = new Board(found.problem);
  for (const guest of board.problem.guests.keys())
    if (at(found.evicted, guest) === 1) board.evict(guest, found.guestLeftFor(guest));
  for (const { applicant, place } of wanted) if (leavesFirst(found, applicant, place)) board.lift(applicant);
  board.adoptBeneficiaries(found);
  for (const [applicant, inFavourOf] of early) board.liftEarly(applicant, inFavourOf);
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
