import type { Board } from "../board/board.ts";
import { blockersOf } from "./blockers.ts";
import { conflictOf } from "./conflict.ts";
import { capacityMib, isEnough, widest } from "../board/obtainable-memory.ts";
import { remediesFor } from "./remedies.ts";
import type { UnplacedExplanation } from "../board/placement.ts";
import { verdictsOn } from "./verdicts.ts";
import { silentNeurons } from "../board/silent-neurons.ts";
import { at, itemAt, type NeuronNo } from "../board/numbers.ts";
import type { ProblemModel } from "../board/problem.ts";

export interface UnplacedQuestion {
  readonly model: ProblemModel;
  readonly missing: number;
  readonly outdated: number;
  /** "brief": only that it is unplaced. "plain": also why. "full": also with whom it is in conflict. */
  readonly depth: "brief" | "plain" | "full";
}

/** Why a copy has no place, in three layers, and what would give it one. */
export function explainUnplaced(board: Board, question: UnplacedQuestion): UnplacedExplanation {
  const { model, missing, outdated } = question;
  const common = { modelId: model.id, missing, outdated, need: model.desired.need };
  const layer = layerOf(board, model);
  if (question.depth === "brief") {
    const empty = { verdicts: [], failures: {}, nearest: null, blockers: [], conflict: null, remedies: [] };
    return { ...common, layer, brief: true, ...empty };
  }
  const { kept: verdicts, nearest, failures } = verdictsOn(board, model);
  const blockers = layer === "never" ? [] : blockersOf(board, model);
  return {
    ...common,
    layer,
    brief: false,
    verdicts,
    failures,
    nearest,
    blockers,
    conflict: layer === "joint" && question.depth === "full" ? conflictOf(board, model) : null,
    remedies: remediesFor(board, { model, missing, verdicts, blockers }),
  };
}

/** A silent neuron may be able to hold anything, so as long as there is one, nothing is said to fit never. */
function layerOf(board: Board, model: ProblemModel): UnplacedExplanation["layer"] {
  const { problem } = board;
  const silent = silentNeurons(problem.input, model.desired).length;
  const { replicas } = model.desired.block;
  const capable = problem.neurons.filter((_, neuron) => isCapable(board, model, neuron)).length;
  if (capable + silent < replicas) return "never";
  const free = problem.neurons.filter(
    (_, neuron) =>
      at(model.open, neuron) === 1 &&
      !model.closed.has(neuron) &&
      isEnough(
        widest(board, { model, neuron }, (device) => itemAt(problem.devices, device).roomMib),
        model,
      ),
  ).length;
  return free >= replicas ? "joint" : "not_now";
}

/** Could hold the model if it were empty and in service. */
function isCapable(board: Board, model: ProblemModel, neuron: NeuronNo): boolean {
  const { block, observed } = itemAt(board.problem.neurons, neuron);
  const { pinned_on: pins, harness } = model.desired.block;
  if (pins.length > 0 && !pins.includes(block.name)) return false;
  if (!observed.discovery.harnesses.includes(harness)) return false;
  return isEnough(capacityMib(board, { model, neuron }), model);
}
