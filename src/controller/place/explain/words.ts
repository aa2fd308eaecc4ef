import { formatMib } from "../../../core/quantities.ts";
import type { ExplainedAssignment, NeuronsRuledOut, WhyHere } from "../board/placement.ts";

/** Why a copy is where it is: the rule that told its place from the next best one, in words and numbers. */
export function ruleText({ neuron, reason, status }: ExplainedAssignment): string {
  const rule = RULE_TEXT[reason.rule](reason);
  const giveWay = reason.displaces.length === 1 ? "gives" : "give";
  const displaces =
    reason.displaces.length === 0 ? "" : `; ${reason.displaces.join(" and ")} ${giveWay} way to it`;
  const moved = reason.movedFor === null ? "" : `; it left its old place for ${reason.movedFor}`;
  const stays = status === "outdated" ? "its new settings fit nowhere, so the old copy stays" : rule;
  return `${stays.replace("{neuron}", neuron)}${displaces}${moved}`;
}

const runnerUp = ({ runnerUp: next }: WhyHere): string =>
  next === null ? "" : `; next best: ${next.neuron} with ${formatMib(next.freeAfterMib)} left`;

const RULE_TEXT: Readonly<Record<WhyHere["rule"], (why: WhyHere) => string>> = {
  stays: () => "it is loaded, and what may stay stays",
  only_place: ({ ruledOut }) => onlyPlaceText(ruledOut),
  spares_on_demand_room: (why) => `least room for models on demand is lost${runnerUp(why)}`,
  most_free: (why) => `most memory stays free: ${formatMib(why.freeAfterMib)}${runnerUp(why)}`,
  tightest_fit: (why) => `it fits best: ${formatMib(why.freeAfterMib)} stay free${runnerUp(why)}`,
  weight: (why) => `{neuron} has the higher weight${runnerUp(why)}`,
  fewest_models: (why) => `{neuron} holds the fewest models${runnerUp(why)}`,
  tie_break: (why) => `{neuron} is as good as any${runnerUp(why)}`,
  joint_fit: ({ runnerUp: next }) =>
    next === null
      ? "chosen together with the other copies"
      : `chosen together with the other copies; beside them, ${next.neuron} would do as well, with ${formatMib(next.freeAfterMib)} left`,
};

/** "the only place: 1 other neuron holds a copy already, 2 have no room". */
function onlyPlaceText(ruledOut: NeuronsRuledOut | null): string {
  if (ruledOut === null) return "the only place";
  const { silent, unqualified, holdsCopy, noRoom } = ruledOut;
  const reasons = [
    {
      count: unqualified,
      one: "does not qualify",
      many: "do not qualify",
    },
    { count: holdsCopy, one: "holds a copy already", many: "hold a copy already" },
    { count: noRoom, one: "has no room", many: "have no room" },
    { count: silent, one: "does not answer", many: "do not answer" },
  ].filter(({ count }) => count > 0);
  if (reasons.length === 0) return "the only neuron";
  const [first, ...rest] = reasons.map(({ count, one, many }) => ({ count, verb: count === 1 ? one : many }));
  const others = first?.count === 1 ? "other neuron" : "other neurons";
  return [
    `the only place: ${first?.count ?? 0} ${others} ${first?.verb ?? ""}`,
    ...rest.map(({ count, verb }) => `${count} ${verb}`),
  ].join(", ");
}
