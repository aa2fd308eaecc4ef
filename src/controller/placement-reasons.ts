import type { OnDemandRoom } from "./on-demand-room.ts";
import { at, type Board } from "./placement-board.ts";
import {
  choiceOn,
  decidingRule,
  precedes,
  sumFree,
  type Choice,
  type ChoiceOptions,
  type Style,
} from "./placement-choice.ts";
import type { Place, ProblemModel } from "./placement-problem.ts";
import type { WhyHere } from "./placement-types.ts";

/** Why a copy is where it is: its place beside the next best one, with everything else where it is. */
export function reasonFor(
  board: Board,
  demand: number,
  context: { readonly style: Style; readonly displaces: readonly string[]; readonly room: OnDemandRoom },
): WhyHere {
  const place = board.places[demand];
  if (place === undefined) throw new Error(`demand ${demand} has no place to explain`);
  const isPresent = at(board.untouched, demand) === 1;
  const leftFor = at(board.copyLeftFor, demand);
  const movedFor = leftFor === -1 || isPresent ? null : board.modelOf(leftFor).id;
  const freeNow = sumFree(board, place.devices);
  if (isPresent) {
    return { rule: "stays", possible: 1, runnerUp: null, freeAfterMib: freeNow, movedFor, displaces: [] };
  }
  const model = board.modelOf(demand);
  const turn = at(board.turn, demand);
  const ordinal = board.problem.demands[demand]?.ordinal ?? 0;
  board.lift(demand);
  context.room.refresh(place.neuron);
  const room = context.style === "spread" ? context.room : undefined;
  const compared = compare(board, { model, place, ordinal }, { style: context.style, room });
  board.put(demand, place);
  context.room.refresh(place.neuron);
  board.turn[demand] = turn;
  return { ...compared, movedFor, displaces: context.displaces };
}

function compare(
  board: Board,
  copy: { readonly model: ProblemModel; readonly place: Place; readonly ordinal: number },
  options: ChoiceOptions,
): Pick<WhyHere, "rule" | "possible" | "runnerUp" | "freeAfterMib"> {
  const { model, place } = copy;
  const { style } = options;
  const freeAfterMib = sumFree(board, place.devices) - model.mib;
  const here: Choice = { place, freeAfterMib, costsRoomOf: options.room?.lostBy(place) ?? 0 };
  let possible = 1;
  let next: Choice | undefined;
  for (let neuron = 0; neuron < model.open.length; neuron += 1) {
    if (at(model.open, neuron) === 0 || neuron === place.neuron || board.hosts(model, neuron)) continue;
    const choice = choiceOn(board, { model, neuron }, options);
    if (choice === undefined) continue;
    possible += 1;
    if (next === undefined || precedes(board, { ...copy, style }, [choice, next])) next = choice;
  }
  if (next === undefined) return { rule: "only_place", possible, runnerUp: null, freeAfterMib };
  const decision = decidingRule(board, { ...copy, style }, [here, next]);
  return {
    rule: decision.order <= 0 ? decision.rule : "joint_fit",
    possible,
    runnerUp: {
      neuron: board.problem.neurons[next.place.neuron]?.name ?? "",
      freeAfterMib: next.freeAfterMib,
    },
    freeAfterMib,
  };
}
