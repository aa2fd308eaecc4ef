import { compareText } from "../../../core/order.ts";
import type { Board } from "../board/board.ts";
import { exactSearch } from "../prove/exact-search.ts";
import { runStrategy, STRATEGIES } from "../search/strategies.ts";
import type { Conflict, FileLine } from "../board/placement.ts";
import { at, byNo, flagsOf, itemAt, type ApplicantNo, type ModelNo } from "../board/numbers.ts";
import type { Applicant, PlacementProblem, ProblemModel } from "../board/problem.ts";

/*
 * Which declared models cannot be resident together: a deletion filter. From all models that may hold their place
 * against this one, one after another is left out and the rest placed again on an empty fleet; where the rest still
 * does not fit, the model was not to blame and stays out. What remains is irreducible: without any one of them the
 * others fit. Then each line that narrows these models is lifted on its own, to see which of them matter.
 */

/** Beyond these the filter would take too long to be worth it. */
const MODELS_AT_MOST = 40;
const NEURONS_AT_MOST = 64;
const PROOF_NODES = 2000;
const PROVABLE_COPIES = 12;

interface Wanted {
  readonly model: ProblemModel;
  readonly copies: number;
}

/** The copies of a rival that have a place: what has none itself is in nobody's way. */
const placedOf = (board: Board, rival: ProblemModel): number =>
  rival.applicants.filter((applicant) => board.places[applicant] !== undefined).length;

/** Null when all fit together (loaded copies that must not move are in the way), or the fleet is too large to tell. */
export function conflictOf(board: Board, model: ProblemModel): Conflict | null {
  const { problem } = board;
  if (problem.neurons.length > NEURONS_AT_MOST) return null;
  const rivals = problem.models.filter(
    (rival) => rival.id === model.id || (rival.priority >= model.priority && placedOf(board, rival) > 0),
  );
  if (rivals.length > MODELS_AT_MOST) return null;
  let wanted = rivals.map((rival): Wanted => {
    const copies = rival.id === model.id ? rival.applicants.length : placedOf(board, rival);
    return { model: rival, copies };
  });
  if (fitTogether(problem, wanted)) return null;
  const leastFirst = rivals
    .filter((rival) => rival !== model)
    .toSorted(
      (left, right) =>
        left.priority - right.priority || left.mib - right.mib || compareText(left.id, right.id),
    );
  for (const rival of leastFirst) {
    const fewer = wanted.filter((candidate) => candidate.model !== rival);
    if (!fitTogether(problem, fewer)) wanted = fewer;
  }
  return describe(problem, wanted);
}

function describe(problem: PlacementProblem, wanted: readonly Wanted[]): Conflict {
  const neurons = problem.neurons.filter((_, neuron) =>
    wanted.some(({ model }) => at(model.open, neuron) === 1),
  );
  const rooms = problem.devices.filter(({ neuron }) => neurons.includes(itemAt(problem.neurons, neuron)));
  return {
    models: wanted.map(({ model, copies }) => ({ modelId: model.id, copies, mib: model.mib })),
    lines: linesThatMatter(problem, wanted),
    needMib: wanted.reduce((total, { model, copies }) => total + model.mib * copies, 0),
    haveMib: rooms.reduce((total, { roomMib }) => total + Math.max(0, roomMib), 0),
    neurons: neurons.map(({ name }) => name),
  };
}

function linesThatMatter(problem: PlacementProblem, wanted: readonly Wanted[]): FileLine[] {
  const lines: FileLine[] = [];
  const tryWithout = (line: FileLine, relax: (model: ProblemModel) => ProblemModel): void => {
    const relaxed = wanted.map(({ model, copies }) => ({ model: relax(model), copies }));
    if (fitTogether(problem, relaxed)) lines.push(line);
  };
  for (const { model } of wanted) {
    const { pinned_on: pins, min_device_vram_mb: floor } = model.desired.block;
    const only = (change: Partial<ProblemModel>) => (other: ProblemModel) =>
      other.id === model.id ? { ...other, ...change } : other;
    const line = (key: string): FileLine => ({ table: "models", id: model.id, key });
    if (pins.length > 0) tryWithout(line("pinned_on"), only({ open: openWithoutPins(problem, model) }));
    if (floor !== undefined) tryWithout(line("min_device_vram_mb"), only({ floorMib: 0 }));
    tryWithout(line("min_devices"), only({ width: model.width + 1 }));
  }
  for (const [drained, { block, name }] of problem.neurons.entries()) {
    if (!block.drain) continue;
    const line: FileLine = { table: "neurons", id: name, key: "drain" };
    tryWithout(line, (model) => ({
      ...model,
      open: flagsOf(problem.neurons, (_, neuron) => neuron === drained || at(model.open, neuron) === 1),
    }));
  }
  return lines;
}

const openWithoutPins = (problem: PlacementProblem, model: ProblemModel): ProblemModel["open"] =>
  flagsOf(problem.neurons, ({ block, observed }) => {
    const isAble = observed.discovery.devices.length >= model.width && observed.health.status !== "draining";
    return isAble && !block.drain && observed.discovery.harnesses.includes(model.desired.block.harness);
  });

const isWhole = ({ places }: Board): boolean => places.every((place) => place !== undefined);

/** Whether these copies could all be resident on a fleet that holds nothing but what nobody may unload. */
export function fitTogether(problem: PlacementProblem, wanted: readonly Wanted[]): boolean {
  if (isTooMuch(problem, wanted)) return false;
  const reduced = reducedProblem(problem, wanted);
  for (const strategy of STRATEGIES.slice(1, 3)) {
    if (isWhole(runStrategy(reduced, strategy))) return true;
  }
  if (reduced.applicants.length > PROVABLE_COPIES) return false;
  return isWhole(exactSearch(reduced, { nodes: PROOF_NODES }).board);
}

/** More than all the memory there is: no search is needed to see that. */
function isTooMuch(problem: PlacementProblem, wanted: readonly Wanted[]): boolean {
  const needMib = wanted.reduce((total, { model, copies }) => total + model.mib * copies, 0);
  const haveMib = problem.devices.reduce((total, { neuron, roomMib }) => {
    const isOpen = wanted.some(({ model }) => at(model.open, neuron) === 1);
    return isOpen ? total + Math.max(0, roomMib) : total;
  }, 0);
  return needMib > haveMib;
}

function reducedProblem(problem: PlacementProblem, wanted: readonly Wanted[]): PlacementProblem {
  const applicants: Applicant[] = [];
  const models = wanted.map(({ model, copies }, number): ProblemModel => {
    const mine = Array.from({ length: copies }, (_, ordinal) => {
      applicants.push({ model: number as ModelNo, ordinal, home: null, movable: true });
      return (applicants.length - 1) as ApplicantNo;
    });
    return { ...model, applicants: mine, preferred: new Map() };
  });
  return {
    ...problem,
    models: byNo(models),
    applicants: byNo(applicants),
    guests: byNo([]),
    onDemand: [],
    claimed: [],
    copiesOf: new Map(),
  };
}
