import { compareText } from "../../../core/order.ts";
import { shareOn, type Board } from "./board.ts";
import { at, itemAt, next, type NeuronNo } from "./numbers.ts";
import { mayBeOn, type Place, type ProblemModel } from "./problem.ts";

/*
 * Room for models on demand. They have no copies to place, but a resident that takes the last place where one of
 * them fits makes it unservable for as long as the resident stays. So it is counted, for each kind of model, on how
 * many neurons it fits beside the declared copies (guests make way), and a place is marked down by the kinds that
 * would lose their last.
 */

/** Kinds watched at most; the largest ones, since small ones fit anywhere. */
const WATCHED_KINDS = 32;

export class OnDemandRoom {
  readonly #board: Board;
  readonly #kinds: readonly ProblemModel[];
  /** By kind, then neuron: 1 where it fits. */
  readonly #fits: readonly Uint8Array[];
  readonly #counts: Int32Array;

  constructor(board: Board) {
    this.#board = board;
    this.#kinds = watchedKinds(board.problem.onDemand);
    this.#counts = new Int32Array(this.#kinds.length);
    this.#fits = this.#kinds.map(() => new Uint8Array(board.problem.neurons.length));
    for (const neuron of board.problem.neurons.keys()) this.refresh(neuron);
  }

  get isWatching(): boolean {
    return this.#kinds.length > 0;
  }

  /** Looks again at a neuron whose residents have changed. */
  refresh(neuron: NeuronNo): void {
    for (const [number, kind] of this.#kinds.entries()) {
      const before = at(this.#fits[number] as Uint8Array, neuron);
      const now = this.#fitsOn(kind, neuron) ? 1 : 0;
      if (before === now) continue;
      (this.#fits[number] as Uint8Array)[neuron] = now;
      this.#counts[number] = at(this.#counts, number) + now - before;
    }
  }

  /** How many kinds would fit nowhere any more. */
  lostBy(place: Place): number {
    let lost = 0;
    for (const [number, kind] of this.#kinds.entries()) {
      if (at(this.#counts, number) !== 1 || at(this.#fits[number] as Uint8Array, place.neuron) === 0)
        continue;
      if (!this.#fitsOn(kind, place.neuron, place)) lost += 1;
    }
    return lost;
  }

  /** Kinds that fit nowhere. */
  missing(): number {
    return this.#counts.reduce((total, count) => total + (count === 0 ? 1 : 0), 0);
  }

  #fitsOn(kind: ProblemModel, neuron: NeuronNo, taken?: Place): boolean {
    if (at(kind.open, neuron) === 0) return false;
    const { devices, neurons } = this.#board.problem;
    const { firstDevice, deviceCount } = itemAt(neurons, neuron);
    const free: number[] = [];
    for (let device = firstDevice; device < firstDevice + deviceCount; device = next(device)) {
      if (!mayBeOn(itemAt(devices, device), kind)) continue;
      free.push(at(this.#board.roomy, device) - shareOn(taken, device));
    }
    if (free.length < kind.width) return false;
    const widest = free.sort((left, right) => right - left).slice(0, kind.width);
    return widest.reduce((total, mib) => total + Math.max(0, mib), 0) >= kind.mib;
  }
}

function watchedKinds(models: readonly ProblemModel[]): ProblemModel[] {
  const kinds = new Map<string, ProblemModel>();
  for (const model of models) {
    const { pinned_on: pins } = model.desired.block;
    kinds.set(JSON.stringify([model.width, model.mib, model.floorMib, pins]), model);
  }
  return [...kinds.values()]
    .sort((left, right) => right.mib - left.mib || compareText(left.id, right.id))
    .slice(0, WATCHED_KINDS);
}
