import { CortexError } from "../../../core/errors.ts";
import { compareText } from "../../../core/order.ts";
import { OnDemandRoom } from "../board/on-demand-room.ts";
import type { Board } from "../board/board.ts";
import {
  choiceOn,
  ChoiceOrder,
  mayFit,
  sumFree,
  type Choice,
  type ChoiceOptions,
  type Style,
} from "../board/choice.ts";
import type { Assignment, NeuronsRuledOut, WhyHere } from "../board/placement.ts";
import { at, itemAt, type ApplicantNo, type NeuronNo } from "../board/numbers.ts";
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
  /** Neurons, the one with the most on one device first. */
  #mostFree: readonly NeuronNo[] | undefined;
  /** Who left for each applicant, and from where. */
  #departures: ReadonlyMap<ApplicantNo, readonly Departed[]> | undefined;

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
    const mostFree = (this.#mostFree ??= [...board.problem.neurons.keys()].sort(
      (left, right) => at(board.largestFree, right) - at(board.largestFree, left),
    ));
    const compared = board.without(applicant, () => {
      whole.refresh(place.neuron);
      return compare(board, { model, place, ordinal, mostFree }, { style: this.#style, room });
    });
    whole.refresh(place.neuron);
    return compared;
  }

  /** Models that left this neuron for its sake. */
  #displacedBy(applicant: ApplicantNo, { neuron }: Place): string[] {
    this.#departures ??= departuresOn(this.#board);
    return (this.#departures.get(applicant) ?? [])
      .filter((departed) => departed.neuron === neuron)
      .map(({ modelId }) => modelId)
      .sort(compareText);
  }
}

interface Departed {
  readonly modelId: string;
  readonly neuron: NeuronNo;
  readonly inFavourOf: ApplicantNo | undefined;
}

function departuresOn(board: Board): ReadonlyMap<ApplicantNo, readonly Departed[]> {
  const copies = board.problem.applicants.flatMap(({ home }, applicant): Departed[] => {
    const inFavourOf = board.copyLeftFor(applicant);
    if (home === null || inFavourOf === undefined) return [];
    return [{ modelId: board.modelOf(applicant).id, neuron: home.place.neuron, inFavourOf }];
  });
  const guests = board.problem.guests.map(({ modelId, place }, guest): Departed => ({
    modelId,
    neuron: place.neuron,
    inFavourOf: board.guestLeftFor(guest),
  }));
  const departed = new Map<ApplicantNo, Departed[]>();
  for (const departure of [...copies, ...guests]) {
    const { inFavourOf } = departure;
    if (inFavourOf !== undefined) departed.set(inFavourOf, [...(departed.get(inFavourOf) ?? []), departure]);
  }
  return departed;
}

type Comparison = Pick<WhyHere, "rule" | "possible" | "runnerUp" | "freeAfterMib" | "ruledOut">;

interface PlacedCopy {
  readonly model: ProblemModel;
  readonly place: Place;
  readonly ordinal: number;
  /** Neurons, the one with the most on one device first. */
  readonly mostFree: readonly NeuronNo[];
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

/** Neurons that have, or are to have, a copy of the model. */
function hostsOf(board: Board, model: ProblemModel): NeuronNo[] {
  const placed = model.applicants.flatMap((applicant) => board.places[applicant]?.neuron ?? []);
  return [...new Set([...model.closed, ...placed])];
}

/** The best place on every other neuron that could take the copy, and why the rest could not. */
function otherPlaces(
  board: Board,
  { model, place, mostFree }: PlacedCopy,
  options: ChoiceOptions,
): { readonly choices: readonly Choice[]; readonly ruledOut: NeuronsRuledOut } {
  const { neurons, input } = board.problem;
  const choices: Choice[] = [];
  const isOther = (neuron: NeuronNo): boolean => neuron !== place.neuron && at(model.open, neuron) === 1;
  const others = model.openCount - at(model.open, place.neuron);
  const holdsCopy = hostsOf(board, model).filter(isOther).length;
  // In a large fleet most neurons are too full for anybody, and this is asked for every copy.
  for (const neuron of mostFree) {
    if (!isOther(neuron) || board.hosts(model, neuron)) continue;
    if (!mayFit(board, model, neuron)) break;
    const choice = choiceOn(board, { model, neuron }, options);
    if (choice !== undefined) choices.push(choice);
  }
  return {
    choices,
    ruledOut: {
      silent: input.fleet.neurons.length - neurons.length,
      unqualified: neurons.length - 1 - others,
      holdsCopy,
      noRoom: others - holdsCopy - choices.length,
    },
  };
}
