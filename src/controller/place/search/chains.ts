import { shareOn, windowsOn, type Board } from "../board/board.ts";
import { bestChoice, holds, sumFree } from "../board/choice.ts";
import { Journal } from "./journal.ts";
import { at, itemAt, type ApplicantNo, type DeviceNo, type NeuronNo } from "../board/numbers.ts";
import type { Place, ProblemModel } from "../board/problem.ts";

/*
 * Ejection chains: the copy is put where it does not quite fit, and what is too much there moves on to holes
 * elsewhere, or to places where others move on as well, at most three deep. First only copies move that are not
 * loaded yet, which disturbs nobody; then also loaded ones of its own class or lower. Nobody loses a place.
 *
 * The search is bounded by counts of steps, never by the clock, so that the answer does not depend on the machine.
 */

const CHAIN_DEPTH = 3;
const MOVES_PER_DEVICE = 3;
const TARGETS_PER_COPY = 48;
const TARGETS_PER_LINK = 8;
const STEPS_PER_COPY = 600;
/** A step looks at every neuron, so larger fleets get fewer. */
const LOOKS_IN_ALL = 4_000_000;

export class Chains {
  readonly #board: Board;
  readonly #journal: Journal;
  #stepsLeft: number;
  #stepsForCopy = 0;
  /** Sizes for which no chain was found, by kind of model, while nothing has changed since. */
  readonly #hopeless = new Map<string, number>();

  constructor(board: Board) {
    this.#board = board;
    this.#journal = new Journal(board);
    this.#stepsLeft = Math.ceil(LOOKS_IN_ALL / Math.max(200, board.problem.neurons.length));
  }

  /** Makes room by moving others on; everybody keeps a place, or nothing changes. */
  placeByChain(applicant: ApplicantNo): boolean {
    this.#stepsForCopy = 0;
    const model = this.#board.modelOf(applicant);
    const key = `${model.width} ${model.floorMib} ${model.priority} ${model.desired.block.pinned_on.join(" ")}`;
    if (model.mib >= (this.#hopeless.get(key) ?? Infinity)) return false;
    if (this.#chainFor(applicant, false) || this.#chainFor(applicant, true)) {
      this.#hopeless.clear();
      return true;
    }
    this.#hopeless.set(key, model.mib);
    return false;
  }

  #chainFor(applicant: ApplicantNo, mayMovePresent: boolean): boolean {
    const model = this.#board.modelOf(applicant);
    if (!model.sizeKnown) return false;
    for (const place of this.#tightestTargets(model)) {
      if (this.#stepsForCopy > STEPS_PER_COPY || this.#stepsLeft <= 0) return false;
      const mark = this.#journal.mark();
      this.#journal.put(applicant, place);
      const chain = { root: applicant, mayMovePresent, depth: CHAIN_DEPTH, path: [applicant] };
      if (this.#relieve(place, chain) && this.#isSplitAsLoaded(applicant)) {
        this.#journal.forget();
        return true;
      }
      this.#journal.undoTo(mark);
    }
    return false;
  }

  /** Places where least is lacking, least first, as far as moving others could make up for it. */
  #tightestTargets(model: ProblemModel): Place[] {
    const board = this.#board;
    const reach = this.#largestHole() * MOVES_PER_DEVICE;
    const targets: Target[] = [];
    this.#stepsLeft -= 1;
    for (const neuron of model.open.keys()) {
      if (at(model.open, neuron) === 0) continue;
      if (model.mib - at(board.largestFree, neuron) * model.width > reach) continue;
      if (board.hosts(model, neuron)) continue;
      for (const devices of windowsOn(board, { model, neuron })) {
        const lackMib = model.mib - sumFree(board, devices);
        if (lackMib <= reach) keepLeast(targets, { neuron, devices, lackMib });
      }
    }
    return targets.map(({ neuron, devices }) => ({ neuron, devices, mib: board.split(model, devices) }));
  }

  #largestHole(): number {
    return this.#board.largestFree.reduce((most, free) => Math.max(most, free), 0);
  }

  /** Moves copies away until no device of the place is promised more than it has. */
  #relieve(place: Place, chain: Chain): boolean {
    for (const device of place.devices) {
      let moves = 0;
      while (at(this.#board.free, device) < 0) {
        if (moves >= MOVES_PER_DEVICE || !this.#moveOneOff(device, chain)) return false;
        moves += 1;
      }
    }
    return true;
  }

  #moveOneOff(device: DeviceNo, chain: Chain): boolean {
    const hole = this.#largestHole();
    for (const resident of this.#movable(device, chain)) {
      this.#stepsForCopy += 1;
      this.#stepsLeft -= 1;
      if (this.#stepsForCopy > STEPS_PER_COPY || this.#stepsLeft <= 0) return false;
      const model = this.#board.modelOf(resident);
      if (chain.depth <= 1 && model.width === 1 && model.mib > hole) continue;
      const mark = this.#journal.mark();
      this.#journal.lift(resident, chain.root);
      if (this.#moveOn(resident, chain)) return true;
      this.#journal.undoTo(mark);
    }
    return false;
  }

  /** To a hole that takes it, else to a place where others move on as well. */
  #moveOn(resident: ApplicantNo, chain: Chain): boolean {
    const choice = bestChoice(this.#board, resident, { style: "tight" });
    if (choice !== undefined) {
      this.#journal.put(resident, choice.place);
      return true;
    }
    if (chain.depth <= 1) return false;
    const deeper = { ...chain, depth: chain.depth - 1, path: [...chain.path, resident] };
    for (const place of this.#tightestTargets(this.#board.modelOf(resident)).slice(0, TARGETS_PER_LINK)) {
      const mark = this.#journal.mark();
      this.#journal.put(resident, place);
      if (this.#relieve(place, deeper) && this.#isSplitAsLoaded(resident)) return true;
      this.#journal.undoTo(mark);
    }
    return false;
  }

  /** Those whose going is enough, smallest first; then the others, largest first. */
  #movable(device: DeviceNo, chain: Chain): ApplicantNo[] {
    const board = this.#board;
    const { neuron } = itemAt(board.problem.devices, device);
    const priority = board.modelOf(chain.root).priority;
    const lack = -at(board.free, device);
    const shareOf = (applicant: ApplicantNo): number => shareOn(board.places[applicant], device);
    const isPresent = (applicant: ApplicantNo): number => at(board.untouched, applicant);
    return itemAt(board.hosted, neuron)
      .filter((applicant) => shareOf(applicant) > 0 && !chain.path.includes(applicant))
      .filter(
        (applicant) => isPresent(applicant) === 0 || this.#mayMove(applicant, chain.mayMovePresent, priority),
      )
      .toSorted((left, right) => {
        const [first, second] = [shareOf(left), shareOf(right)];
        const bySize = first >= lack && second >= lack ? first - second : second - first;
        return isPresent(left) - isPresent(right) || bySize || left - right;
      });
  }

  #mayMove(applicant: ApplicantNo, mayMovePresent: boolean, priority: number): boolean {
    const isMovable = itemAt(this.#board.problem.applicants, applicant).movable;
    return mayMovePresent && isMovable && this.#board.modelOf(applicant).priority <= priority;
  }

  /** A wide copy was split while its devices were over-promised; now the split is what the neuron would make. */
  #isSplitAsLoaded(applicant: ApplicantNo): boolean {
    const board = this.#board;
    const model = board.modelOf(applicant);
    const place = board.places[applicant];
    if (place === undefined) return false;
    if (model.width === 1) return true;
    this.#journal.lift(applicant, applicant);
    if (!holds(board, model, place.devices)) return false;
    this.#journal.put(applicant, { ...place, mib: board.split(model, place.devices) });
    return true;
  }
}

interface Chain {
  /** The copy for whose sake others move. */
  readonly root: ApplicantNo;
  readonly mayMovePresent: boolean;
  readonly depth: number;
  readonly path: readonly ApplicantNo[];
}

interface Target {
  readonly neuron: NeuronNo;
  readonly devices: readonly DeviceNo[];
  readonly lackMib: number;
}

/** Inserts in order of lack, then of devices, and forgets what is beyond the number that will be tried. */
function keepLeast(targets: Target[], target: Target): void {
  let position = targets.length;
  while (position > 0 && (targets[position - 1] as Target).lackMib > target.lackMib) position -= 1;
  if (position >= TARGETS_PER_COPY) return;
  targets.splice(position, 0, target);
  if (targets.length > TARGETS_PER_COPY) targets.pop();
}
