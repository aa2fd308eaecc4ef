import type { Board } from "../board/board.ts";
import type { Scope } from "./integer-programme.ts";
import { stableHash } from "../board/stable-hash.ts";
import { present } from "../../../core/present.ts";
import { at, itemAt, type ApplicantNo, type NeuronNo } from "../board/numbers.ts";
import type { PlacementProblem } from "../board/problem.ts";

/*
 * Parts of a large placement in which a copy without a place might find one. A part is made of a few neurons that may
 * hold the copy: those where least is lacking, and others drawn by a hash, so that the parts of different copies
 * differ. All that is on these neurons may move within them, and other copies without a place may come too.
 */
const DEVICES_IN_PART = 8;
const COPIES_TO_COME = 6;

export const wholeFleet = (problem: PlacementProblem): Scope => ({
  applicants: new Set(problem.applicants.keys()),
  neurons: new Set(problem.neurons.keys()),
});

/** Pairs of a copy and a device that may hold it. */
export function choicesOf({ applicants, models, neurons }: PlacementProblem): number {
  const countOf = new Map(
    [...new Set(models.map(({ open }) => open))].map((open) => [
      open,
      neurons.reduce((total, { deviceCount }, number) => total + deviceCount * at(open, number), 0),
    ]),
  );
  return applicants.reduce(
    (total, { model }) =>
      total + present(countOf.get(itemAt(models, model).open), "the count of a model's choices"),
    0,
  );
}

/** The parts worth solving, for the copies of the highest classes first; `round` draws other neurons. */
export function neighbourhoods(
  board: Board,
  options: { readonly most: number; readonly round: number },
): Scope[] {
  const missing = [...board.places.keys()]
    .filter((applicant) => board.places[applicant] === undefined)
    .sort((left, right) => board.modelOf(right).priority - board.modelOf(left).priority || left - right);
  return missing.slice(0, options.most).flatMap((applicant) => {
    const neurons = neuronsFor(board, applicant, options.round);
    if (neurons.size === 0) return [];
    const there = [...neurons].flatMap((neuron) => itemAt(board.hosted, neuron));
    const coming = missing
      .filter((other) => [...neurons].some((neuron) => at(board.modelOf(other).open, neuron) === 1))
      .slice(0, COPIES_TO_COME);
    return [{ neurons, applicants: new Set([applicant, ...there, ...coming]) }];
  });
}

function neuronsFor(board: Board, applicant: ApplicantNo, round: number): Set<NeuronNo> {
  const model = board.modelOf(applicant);
  const { neurons } = board.problem;
  const open = [...neurons.keys()].filter(
    (neuron) => at(model.open, neuron) === 1 && !board.hosts(model, neuron),
  );
  const freeOn = (neuron: NeuronNo): number => at(board.largestFree, neuron);
  const drawOf = (neuron: NeuronNo): number =>
    stableHash(`${round} ${applicant} ${itemAt(neurons, neuron).name}`);
  const roomiest = open.toSorted((left, right) => freeOn(right) - freeOn(left) || left - right);
  const drawn = open.toSorted((left, right) => drawOf(left) - drawOf(right) || left - right);
  const chosen = new Set<NeuronNo>();
  let devices = 0;
  // One of each list alternately, as long as there is room for another neuron.
  for (const [position] of open.entries()) {
    for (const neuron of [roomiest[position], drawn[position]]) {
      if (neuron === undefined || chosen.has(neuron)) continue;
      const count = itemAt(neurons, neuron).deviceCount;
      if (chosen.size > 0 && devices + count > DEVICES_IN_PART) return chosen;
      chosen.add(neuron);
      devices += count;
    }
  }
  return chosen;
}
