import { at, Board, isSamePlace } from "../board/board.ts";
import { bestChoice, holds } from "../board/choice.ts";
import type { Place } from "../board/problem.ts";

/*
 * A model on several devices is split by what is free on them when it is loaded, so its shares depend on who is there
 * at that moment. A search puts copies on and takes them off in an order of its own; here its result is played once
 * more in the order in which it will be carried out: who stays is there from the beginning, who leaves has left, and
 * then the others come, those on one device first, because a spread one makes do with what they leave; one for whose
 * room another has to be renewed first comes after that. What no longer fits looks for another place, or has none.
 */
export function settledBoard(found: Board): Board {
  const wanted = wantedPlaces(found);
  const arrivals = wanted
    .filter(({ demand, place }) => place !== undefined && !stays(found, demand, place))
    .sort((left, right) => isSpread(found, left) - isSpread(found, right) || left.turn - right.turn);
  const isSettled = wanted.every(({ demand, place }) => found.places[demand] === place);
  if (isSettled && !arrivals.some(({ demand }) => found.modelOf(demand).width > 1)) return found;
  const board = new Board(found.problem);
  for (const guest of board.problem.guests.keys())
    if (at(found.evicted, guest) === 1) board.evict(guest, at(found.guestLeftFor, guest));
  for (const { demand, place } of wanted) if (leavesFirst(found, demand, place)) board.lift(demand);
  board.copyLeftFor.set(found.copyLeftFor);
  for (let waiting = arrivals; waiting.length > 0;) {
    const still = waiting.filter(({ demand, place }) => !arrives(board, demand, place as Place));
    const [first] = still;
    if (still.length === waiting.length && first !== undefined) arriveElsewhere(board, first.demand);
    waiting = still.length === waiting.length ? still.slice(1) : still;
  }
  return board;
}

const isSpread = (board: Board, { demand }: Wanted): number => Math.min(1, board.modelOf(demand).width - 1);

interface Wanted {
  readonly demand: number;
  readonly place: Place | undefined;
  /** When the place was given away. */
  readonly turn: number;
}

/** The place of each copy; a copy that would leave its home to another copy of its model comes home in its stead. */
function wantedPlaces(found: Board): Wanted[] {
  const wanted = [...found.places.entries()].map(([demand, place]): Wanted => ({
    demand,
    place,
    turn: at(found.turn, demand),
  }));
  for (const [demand, { home }] of found.problem.demands.entries()) {
    if (home === null || found.places[demand]?.neuron === home.place.neuron) continue;
    const successor = found
      .modelOf(demand)
      .demands.find((other) => wanted[other]?.place?.neuron === home.place.neuron);
    if (successor === undefined) continue;
    const [mine, theirs] = [wanted[demand] as Wanted, wanted[successor] as Wanted];
    wanted[demand] = { ...theirs, demand };
    wanted[successor] = { ...mine, demand: successor };
  }
  return wanted;
}

/** Whether the copy is there already, and stays exactly as it is loaded. */
function stays(found: Board, demand: number, place: Place): boolean {
  if (found.places[demand] === place) return at(found.untouched, demand) === 1;
  const home = found.problem.demands[demand]?.home ?? null;
  return home !== null && home.current && isSamePlace(home.place, place);
}

/** Whether the copy leaves its home first: only one that is renewed on its devices is there until its turn comes. */
function leavesFirst(found: Board, demand: number, place: Place | undefined): boolean {
  const home = found.problem.demands[demand]?.home ?? null;
  if (home === null || (place !== undefined && stays(found, demand, place))) return false;
  return place === undefined || home.current || !isSamePlace(home.place, place);
}

/** False, and nothing changed, while there is no room at its place. */
function arrives(board: Board, demand: number, { neuron, devices }: Place): boolean {
  const model = board.modelOf(demand);
  const old = board.lift(demand);
  const fits = !board.hosts(model, neuron) && holds(board, model, devices);
  if (fits) board.put(demand, { neuron, devices, mib: board.split(model, devices) });
  else if (old !== undefined) board.putBack(demand, old, 1);
  return fits;
}

function arriveElsewhere(board: Board, demand: number): void {
  const old = board.lift(demand);
  const choice = bestChoice(board, demand, { style: "tight" });
  if (choice !== undefined) board.put(demand, choice.place);
  else if (old !== undefined) board.putBack(demand, old, 1);
}
