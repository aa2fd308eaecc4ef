import type { Board } from "../board/board.ts";
import {
  availableMib,
  givesWay,
  isEnough,
  heldBy,
  holdersOn,
  leastMib,
  widest,
  type Holder,
} from "../board/obtainable-memory.ts";
import { compareCosts } from "../board/compare-costs.ts";
import type { Blocker } from "../board/placement.ts";
import { at, itemAt, type ApplicantNo, type NeuronNo } from "../board/numbers.ts";
import { devicesOf, type ProblemModel, type Prospect } from "../board/problem.ts";

/**
 * The least that would have to leave for a copy to fit: on the neuron where that is least, first by class, then by
 * number, then by memory. Empty when no leaving would help.
 */
export function blockersOf(board: Board, model: ProblemModel): Blocker[] {
  let best:
    | { readonly neuron: NeuronNo; readonly leaving: readonly Holder[]; readonly cost: number[] }
    | undefined;
  for (const neuron of model.open.keys()) {
    if (at(model.open, neuron) === 0 || board.hosts(model, neuron)) continue;
    const leaving = leastLeaving(board, { model, neuron });
    if (leaving === undefined) continue;
    const cost = costOf(leaving);
    if (best === undefined || compareCosts(cost, best.cost) < 0) best = { neuron, leaving, cost };
  }
  if (best === undefined) return [];
  const { neuron } = best;
  return best.leaving
    .filter((holder) => !givesWay(holder, model.priority))
    .map((holder) => blocker(board, { model, neuron }, holder));
}

/** Removes those who matter least until it fits, then spares all that need not go, those who matter most first. */
function leastLeaving(board: Board, prospect: Prospect): Holder[] | undefined {
  const { model, neuron } = prospect;
  const scopes =
    model.width === 1
      ? devicesOf(board.problem, neuron).map((device) => [device])
      : [devicesOf(board.problem, neuron)];
  const holders = holdersOn(board, neuron).toSorted(
    (left, right) =>
      rankOf(left) - rankOf(right) || left.priority - right.priority || heldBy(left) - heldBy(right),
  );
  const options = scopes.flatMap((scope) => {
    const here = holders.filter(({ place }) => place.devices.some((device) => scope.includes(device)));
    const leaving = leastOf(here, (going) => isEnough(availableMib(board, prospect, going), model));
    return leaving === undefined ? [] : [leaving];
  });
  return options.sort((left, right) => compareCosts(costOf(left), costOf(right)))[0];
}

/** Protected models, those loaded by hand and those of other fleets matter most. */
const rankOf = ({ kind }: Holder): number =>
  ["guest", "copy", "protected", "loaded_by_hand", "other_fleet"].indexOf(kind);

function leastOf(
  holders: readonly Holder[],
  fits: (going: readonly Holder[]) => boolean,
): Holder[] | undefined {
  const going: Holder[] = [];
  for (const holder of holders) {
    if (fits(going)) break;
    going.push(holder);
  }
  if (!fits(going)) return undefined;
  let needed = going;
  for (const holder of going.toReversed()) {
    const fewer = needed.filter((candidate) => candidate !== holder);
    if (fits(fewer)) needed = fewer;
  }
  return needed;
}

function costOf(leaving: readonly Holder[]): number[] {
  const ranks = leaving.map(rankOf);
  const classes = leaving.map(({ priority }) => priority);
  const mib = leaving.reduce((total, holder) => total + heldBy(holder), 0);
  return [Math.max(0, ...ranks), Math.max(0, ...classes), leaving.length, mib];
}

function blocker(board: Board, { model, neuron }: Prospect, holder: Holder): Blocker {
  return {
    neuron: itemAt(board.problem.neurons, neuron).name,
    modelId: holder.modelId,
    mib: heldBy(holder),
    priority: holder.priority,
    because: becauseOf(holder, model.priority),
    largestHoleMib: holder.applicant === undefined ? null : largestHole(board, holder.applicant),
  };
}

function becauseOf(holder: Holder, priority: number): Blocker["because"] {
  if (holder.kind !== "copy" && holder.kind !== "guest") return holder.kind;
  if (holder.priority === priority) return "same_class";
  return holder.priority > priority ? "higher_class" : "nowhere_to_go";
}

/** The most that is free in one place for this copy elsewhere; null when it would fit there. */
function largestHole(board: Board, applicant: ApplicantNo): number | null {
  const model = board.modelOf(applicant);
  const home = board.places[applicant]?.neuron;
  let largest = 0;
  for (const neuron of model.open.keys()) {
    if (at(model.open, neuron) === 0 || neuron === home || board.hosts(model, neuron)) continue;
    const free = widest(board, { model, neuron }, (device) => Math.max(0, at(board.free, device))) ?? 0;
    if (free >= leastMib(model)) return null;
    largest = Math.max(largest, free);
  }
  return largest;
}
