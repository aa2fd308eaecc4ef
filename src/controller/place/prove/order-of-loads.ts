import { at, itemAt, type NeuronNo } from "../board/numbers.ts";
import type { Applicant, PlacementProblem } from "../board/problem.ts";

/*
 * With three or more devices, spread copies can lie on sets of devices that overlap without being the same. What the first
 * one takes of the shared devices then decides whether the next one finds its share, and a copy on one device can be
 * better off after a spread one. On one set of devices no order is better than another: in proportion to what is free, each
 * leaves the proportions as they were.
 */

/** Whether there is a neuron on which the order of the loads can decide who fits: a search of one order proves nothing then. */
export const orderMatters = (problem: PlacementProblem): boolean =>
  [...problem.neurons.keys()].some((neuron) => orderMattersOn(problem, neuron));

function orderMattersOn({ neurons, models, applicants }: PlacementProblem, neuron: NeuronNo): boolean {
  const { deviceCount } = itemAt(neurons, neuron);
  const widths = [...models]
    .filter(({ width, open }) => width > 1 && width <= deviceCount && at(open, neuron) === 1)
    .filter((model) => model.applicants.some((applicant) => mayBeLoaded(itemAt(applicants, applicant))))
    .map(({ width }) => width);
  return widths.length > 1 && widths.some((width) => width < deviceCount);
}

const mayBeLoaded = ({ home, movable }: Applicant): boolean => movable || home?.current !== true;
