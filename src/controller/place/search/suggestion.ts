import { Board, isSamePlace, newcomersOn } from "../board/board.ts";
import { holds } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { readmitGuests } from "./strategies.ts";
import type { SuggestedCopy } from "../board/placement.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";
import { deviceNo, type Place, type PlacementProblem, type ProblemModel } from "../board/problem.ts";

/**
 * The board on which copies are where somebody else would have them: copies that are there already stay, the others
 * come, those on one device first. What does not fit, or may not be there, has no place on it; guests that are in the
 * way leave.
 */
export function suggestedBoard(problem: PlacementProblem, copies: readonly SuggestedCopy[]): Board {
  const board = new Board(problem);
  const wanted = wantedPlaces(problem, copies);
  for (const guest of problem.guests.keys()) board.evict(guest, undefined);
  const arriving = problem.models.flatMap((model) => arrivalsOf(board, model, wanted.get(model.id) ?? []));
  arriving.sort((left, right) => compareCosts(orderOf(board, left), orderOf(board, right)));
  for (const { applicant, place } of arriving) {
    const model = board.modelOf(applicant);
    const isOpen = at(model.open, place.neuron) === 1 && !board.hosts(model, place.neuron);
    if (isOpen && holds(board, model, place.devices))
      board.put(applicant, { ...place, mib: board.split(model, place.devices) });
  }
  readmitGuests(board);
  for (const [guest, { place }] of problem.guests.entries())
    if (at(board.evicted, guest) === 1) board.noteGuestLeftFor(guest, newcomersOn(board, place)[0]);
  return board;
}

/** Copies and their places, as neurons and devices are called. */
export function suggestionOf(
  board: Board,
  copies: readonly ({ readonly applicant: ApplicantNo } & Pick<Place, "neuron" | "devices">)[],
): SuggestedCopy[] {
  const { neurons, devices: all } = board.problem;
  return copies.map(({ applicant, neuron, devices }) => ({
    modelId: board.modelOf(applicant).id,
    neuron: itemAt(neurons, neuron).name,
    devices: devices.map((device) => itemAt(all, device).index),
  }));
}

interface Arriving {
  readonly applicant: ApplicantNo;
  readonly place: Omit<Place, "mib">;
}

function wantedPlaces(
  problem: PlacementProblem,
  copies: readonly SuggestedCopy[],
): ReadonlyMap<string, readonly Arriving["place"][]> {
  const numbers = new Map(problem.neurons.map(({ name }, number) => [name, number]));
  const places = copies.flatMap(({ modelId, neuron: name, devices }) => {
    const neuron = numbers.get(name);
    if (neuron === undefined) return [];
    const { firstDevice, observed } = itemAt(problem.neurons, neuron);
    const positions = devices.map((index) =>
      observed.discovery.devices.findIndex((device) => device.index === index),
    );
    if (positions.includes(-1)) return [];
    return [
      { modelId, place: { neuron, devices: positions.map((position) => deviceNo(firstDevice, position)) } },
    ];
  });
  return new Map(
    [...Map.groupBy(places, ({ modelId }) => modelId)].map(([id, rows]) => [
      id,
      rows.map(({ place }) => place),
    ]),
  );
}

/** Leaves copies that are where they should be, takes off the others, and says where the others are to come. */
function arrivalsOf(board: Board, model: ProblemModel, wanted: readonly Arriving["place"][]): Arriving[] {
  const open = [...wanted];
  const away: ApplicantNo[] = [];
  const arriving: Arriving[] = [];
  for (const applicant of model.applicants) {
    const { home, movable } = itemAt(board.problem.applicants, applicant);
    const position = open.findIndex((place) => home !== null && isSamePlace(home.place, place));
    if (home?.current === true && (!movable || position !== -1)) {
      if (position !== -1) open.splice(position, 1);
      continue;
    }
    board.lift(applicant);
    const [place] = position === -1 ? [] : open.splice(position, 1);
    if (place === undefined) away.push(applicant);
    else arriving.push({ applicant, place });
  }
  for (const applicant of away) {
    const place = open.shift();
    if (place !== undefined) arriving.push({ applicant, place });
  }
  return arriving;
}

function orderOf(board: Board, { applicant }: Arriving): readonly number[] {
  const { width, priority, mib } = board.modelOf(applicant);
  return [Math.min(width, 2), -priority, width, -mib, applicant];
}
