import type { OnDemandRoom } from "../board/on-demand-room.ts";
import { at, type Board } from "../board/board.ts";
import {
  choiceOn,
  decidingRule,
  precedes,
  sumFree,
  type Choice,
  type ChoiceOptions,
  type Style,
} from "../board/choice.ts";
import type { Place, ProblemModel } from "../board/problem.ts";
import type { NeuronsRuledOut, WhyHere } from "../board/placement.ts";

/** Why a copy is where it is: its place beside the next best one, with everything else where it is. */
export function reasonFor(
  board: Board,
  applicant: number,
  context: { readonly style: Style; readonly displaces: readonly string[]; readonly room: OnDemandRoom },
): WhyHere {
  const place = board.places[applicant];
  if (place === undefined) throw new Error(`applicant ${applicant} has no place to explain`);
  const isPresent = at(board.untouched, applicant) === 1;
  const leftFor = at(board.copyLeftFor, applicant);
  const movedFor = leftFor === -1 || isPresent ? null : board.modelOf(leftFor).id;
  const freeNow = sumFree(board, place.devices);
  if (isPresent) {
    return {
      rule: "stays",
      possible: 1,
      runnerUp: null,
      freeAfterMib: freeNow,
      ruledOut: null,
      movedFor,
      displaces: [],
    };
  }
  const model = board.modelOf(applicant);
  const rank = at(board.rank, applicant);
  const ordinal = board.problem.applicants[applicant]?.ordinal ?? 0;
  board.lift(applicant);
  context.room.refresh(place.neuron);
  const room = context.style === "spread" ? context.room : undefined;
  const compared = compare(board, { model, place, ordinal }, { style: context.style, room });
  board.put(applicant, place);
  context.room.refresh(place.neuron);
  board.rank[applicant] = rank;
  return { ...compared, movedFor, displaces: context.displaces };
}

interface PlacedCopy {
  readonly model: ProblemModel;
  readonly place: Place;
  readonly ordinal: number;
}

function compare(
  board: Board,
  copy: PlacedCopy,
  options: ChoiceOptions,
): Pick<WhyHere, "rule" | "possible" | "runnerUp" | "freeAfterMib" | "ruledOut"> {
  const { model, place } = copy;
  const { style } = options;
  const freeAfterMib = sumFree(board, place.devices) - model.mib;
  const { choices, ruledOut } = otherPlaces(board, copy, options);
  const possible = 1 + choices.length;
  const next = choices.reduce<Choice | undefined>(
    (best, choice) =>
      best === undefined || precedes(board, { ...copy, style }, [choice, best]) ? choice : best,
    undefined,
  );
  if (next === undefined) return { rule: "only_place", possible, runnerUp: null, freeAfterMib, ruledOut };
  const here: Choice = { place, freeAfterMib, costsRoomOf: options.room?.lostBy(place) ?? 0 };
  const decision = decidingRule(board, { ...copy, style }, [here, next]);
  const neuron = board.problem.neurons[next.place.neuron]?.name ?? "";
  return {
    rule: decision.order <= 0 ? decision.rule : "joint_fit",
    possible,
    runnerUp: { neuron, freeAfterMib: next.freeAfterMib },
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
