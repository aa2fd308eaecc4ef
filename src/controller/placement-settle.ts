import { at, Board } from "./placement-board.ts";
import { bestChoice, holds } from "./placement-choice.ts";
import type { Place } from "./placement-problem.ts";

/*
 * A model on several devices is split by what is free on them when it is loaded, so its shares depend on who is there
 * at that moment. A search puts copies on and takes them off in an order of its own; here its result is played once
 * more in the order in which it will be carried out: who stays is there from the beginning, who leaves has left, and
 * then the others come, each in its turn, or later when another has to be renewed first. What no longer fits looks for
 * another place, or has none.
 */
export function settledBoard(found: Board): Board {
  const arrivals = arrivalsOf(found);
  if (!arrivals.some((demand) => found.modelOf(demand).width > 1)) return found;
  const board = new Board(found.problem);
  for (const guest of board.problem.guests.keys())
    if (at(found.evicted, guest) === 1) board.evict(guest, at(found.guestLeftFor, guest));
  for (const demand of board.places.keys()) if (leavesFirst(found, demand)) board.lift(demand);
  board.copyLeftFor.set(found.copyLeftFor);
  for (let waiting = arrivals; waiting.length > 0;) {
    const still = waiting.filter((demand) => !arrives(board, demand, found.places[demand] as Place));
    const [first] = still;
    if (still.length === waiting.length && first !== undefined) arriveElsewhere(board, first);
    waiting = still.length === waiting.length ? still.slice(1) : still;
  }
  return board;
}

/** Copies that are loaded, in the order in which they were placed. */
function arrivalsOf(board: Board): number[] {
  return [...board.places.keys()]
    .filter((demand) => board.places[demand] !== undefined && at(board.untouched, demand) === 0)
    .sort((left, right) => at(board.turn, left) - at(board.turn, right));
}

/** Whether the copy leaves its home first: only one that is renewed on its devices stays until its turn comes. */
function leavesFirst(found: Board, demand: number): boolean {
  const home = found.problem.demands[demand]?.home ?? null;
  if (home === null || at(found.untouched, demand) === 1) return false;
  const place = found.places[demand];
  return place === undefined || home.current || !isSamePlace(home.place, place);
}

const isSamePlace = (left: Place, right: Place): boolean =>
  left.neuron === right.neuron &&
  left.devices.length === right.devices.length &&
  left.devices.every((device) => right.devices.includes(device));

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
