import { CortexError } from "../../../core/errors.ts";
import { compareText } from "../../../core/order.ts";
import { OnDemandRoom } from "../board/on-demand-room.ts";
import type { Board } from "../board/board.ts";
import {
  choiceOn,
  ChoiceOrder,
  sumFree,
  type Choice,
  type ChoiceOptions,
  type Style,
} from "../board/choice.ts";
import type { Assignment, NeuronsRuledOut, WhyHere } from "../board/placement.ts";
import { at, itemAt, type ApplicantNo } from "../board/numbers.ts";
import type { Place, ProblemModel } from "../board/problem.ts";

/**
 * Why each copy of a finished placement is where it is: its place beside the next best one, with everything else where
 * it is. Each answer is worked out when it is asked for, and once.
 */
export class Reasons {
  readonly #board: Board;
  readonly #style: Style;
  readonly #models: ReadonlyMap<string, ProblemModel>;
  readonly #known = new Map<ApplicantNo, WhyHere>();
  #room: OnDemandRoom | undefined;

  constructor(board: Board, style: Style) {
    this.#board = board;
    this.#style = style;
    this.#models = new Map(board.problem.models.map((model) => [model.id, model]));
  }

  of({ modelId, ordinal, neuron }: Pick<Assignment, "modelId" | "ordinal" | "neuron">): WhyHere {
    const { applicants, neurons } = this.#board.problem;
    const mine = this.#models.get(modelId)?.applicants;
    const applicant = mine?.find((candidate) => itemAt(applicants, candidate).ordinal === ordinal);
    const place = applicant === undefined ? undefined : this.#board.places[applicant];
    if (applicant === undefined || place === undefined || itemAt(neurons, place.neuron).name !== neuron)
      throw new CortexError("internal_error", `copy ${ordinal} of ${modelId} is not placed on ${neuron}`);
    const known = this.#known.get(applicant) ?? this.#workOut(applicant, place);
    this.#known.set(applicant, known);
    return known;
  }

  #workOut(applicant: ApplicantNo, place: Place): WhyHere {
    const board = this.#board;
    const isPresent = at(board.untouched, applicant) === 1;
    if (isPresent) {
      return {
        rule: "stays",
        possible: 1,
        runnerUp: null,
        freeAfterMib: sumFree(board, place.devices),
        ruledOut: null,
        movedFor: null,
        displaces: [],
      };
    }
    const leftFor = board.copyLeftFor(applicant);
    const movedFor = leftFor === undefined ? null : board.modelOf(leftFor).id;
    return { ...this.#compared(applicant, place), movedFor, displaces: this.#displacedBy(applicant, place) };
  }

  #compared(applicant: ApplicantNo, place: Place): Comparison {
    const board = this.#board;
    const model = board.modelOf(applicant);
    const { ordinal } = itemAt(board.problem.applicants, applicant);
    const whole = (this.#room ??= new OnDemandRoom(board));
    const room = this.#style === "spread" ? whole : undefined;
    const compared = board.without(applicant, () => {
      whole.refresh(place.neuron);
      return compare(board, { model, place, ordinal }, { style: this.#style, room });
    });
    whole.refresh(place.neuron);
    return compared;
  }

  /** Models that left this neuron for its sake. */
  #displacedBy(applicant: ApplicantNo, { neuron }: Place): string[] {
    const board = this.#board;
    const copies = board.problem.applicants.flatMap(({ home }, other) =>
      home?.place.neuron === neuron && board.copyLeftFor(other) === applicant
        ? [board.modelOf(other).id]
        : [],
    );
    const guests = board.problem.guests.flatMap(({ modelId, place }, guest) =>
      place.neuron === neuron && board.guestLeftFor(guest) === applicant ? [modelId] : [],
    );
    return [...copies, ...guests].sort(compareText);
  }
}

type Comparison = Pick<WhyHere, "rule" | "possible" | "runnerUp" | "freeAfterMib" | "ruledOut">;

interface PlacedCopy {
  readonly model: ProblemModel;
  readonly place: Place;
  readonly ordinal: number;
}

function compare(board: Board, copy: PlacedCopy, options: ChoiceOptions): Comparison {
  const { model, place } = copy;
  const freeAfterMib = sumFree(board, place.devices) - model.mib;
  const { choices, ruledOut } = otherPlaces(board, copy, options);
  const possible = 1 + choices.length;
  const order = new ChoiceOrder(board, { ...copy, style: options.style });
  const second = choices.reduce<Choice | undefined>((best, choice) => order.better(best, choice), undefined);
  if (second === undefined) return { rule: "only_place", possible, runnerUp: null, freeAfterMib, ruledOut };
  const here: Choice = { place, freeAfterMib, costsRoomOf: options.room?.lostBy(place) ?? 0 };
  const decision = order.decide(here, second);
  const neuron = itemAt(board.problem.neurons, second.place.neuron).name;
  return {
    rule: decision.order <= 0 ? decision.rule : "joint_fit",
    possible,
    runnerUp: { neuron, freeAfterMib: second.freeAfterMib },
    freeAfterMib,
    ruledOut,
  };
}

/** The best place on every other neuron that could take the copy, and why the rest could not. */
function otherPlaces(
  board: Board,
  { model, place }: PlacedCopy,
  options: ChoiceOptions,
): { readonly choices: readonly Choice[]; readonly ruledOut: NeuronsRuledOut } {
  const { neurons, input } = board.problem;
  const choices: Choice[] = [];
  const counts = { unqualified: 0, holdsCopy: 0, noRoom: 0 };
  for (const neuron of neurons.keys()) {
    if (neuron === place.neuron) continue;
    if (at(model.open, neuron) === 0) {
      counts.unqualified += 1;
      continue;
    }
    if (board.hosts(model, neuron)) {
      counts.holdsCopy += 1;
      continue;
    }
    const choice = choiceOn(board, { model, neuron }, options);
    if (choice === undefined) counts.noRoom += 1;
    else choices.push(choice);
  }
  return { choices, ruledOut: { silent: input.fleet.neurons.length - neurons.length, ...counts } };
}
