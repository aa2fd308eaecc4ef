import { formatMib } from "../../../core/quantities.ts";
import type {
  ExplainedUnplaced,
  PlanAssignment,
  PlacementGap,
  PlacementVerdict,
  UnplacedCopy,
} from "../../../protocol/plan-document.ts";
import { adviceText, summaryOf } from "./refusals.ts";
import type * as placement from "../board/placement.ts";

/** Placement's findings as the plan document shows them: the same facts, and each rule and remedy in words. */
export function planAssignment(assignment: placement.ExplainedAssignment): PlanAssignment {
  const { reason } = assignment;
  return {
    model_id: assignment.modelId,
    neuron: assignment.neuron,
    devices: [...assignment.devices],
    device_vram_mb: [...assignment.deviceMib],
    status: assignment.status,
    moved_from: assignment.movedFrom,
    rule: reason.rule,
    reason: ruleText(assignment),
  };
}

function ruleText({ neuron, reason, status }: placement.ExplainedAssignment): string {
  const rule = RULE_TEXT[reason.rule](reason);
  const giveWay = reason.displaces.length === 1 ? "gives" : "give";
  const displaces =
    reason.displaces.length === 0 ? "" : `; ${reason.displaces.join(" and ")} ${giveWay} way to it`;
  const moved = reason.movedFor === null ? "" : `; it left its old place for ${reason.movedFor}`;
  const stays = status === "outdated" ? "its new settings fit nowhere, so the old copy stays" : rule;
  return `${stays.replace("{neuron}", neuron)}${displaces}${moved}`;
}

const runnerUp = ({ runnerUp: next }: placement.WhyHere): string =>
  next === null ? "" : `; next best: ${next.neuron} with ${formatMib(next.freeAfterMib)} left`;

const RULE_TEXT: Readonly<Record<placement.WhyHere["rule"], (why: placement.WhyHere) => string>> = {
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
function onlyPlaceText(ruledOut: placement.NeuronsRuledOut | null): string {
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

export const planGap = (gap: placement.PlacementGap): PlacementGap => ({
  status: gap.kind,
  gap_percent: gap.percent,
  counts: gap.counts,
  placed: gap.placed,
  bound: gap.bound,
  engine: gap.engine,
});

/** Each unplaced copy with what placement found out about it. */
export function explainUnplaced(result: placement.Placement): ExplainedUnplaced[] {
  const explanations = new Map(result.explanations.map((found) => [found.modelId, found]));
  return result.unplaced.map((copy) => explained(copy, explanations.get(copy.model_id)));
}

function explained(copy: UnplacedCopy, found: placement.UnplacedExplanation | undefined): ExplainedUnplaced {
  if (found === undefined) {
    const nothing = { verdicts: [], need_mb: null, blockers: [], conflict: null, remedies: [] };
    return { ...copy, layer: null, summary: copy.hint, ...nothing };
  }
  return {
    ...copy,
    layer: found.layer,
    summary: summaryOf(found),
    verdicts: found.verdicts.map(planVerdict),
    need_mb: found.need.mib ?? null,
    blockers: found.blockers.map(({ neuron, modelId, mib, because }) => ({
      neuron,
      model_id: modelId,
      vram_mb: mib,
      because,
    })),
    conflict: planConflict(found.conflict),
    remedies: found.remedies.map((remedy) => ({
      text: adviceText(remedy, found),
      kind: remedy.kind,
      line: remedy.line === null ? null : { ...remedy.line },
      from: remedy.from,
      to: remedy.to,
      neuron: remedy.neuron,
      tried: remedy.tried ?? false,
      costs: [...(remedy.costs ?? [])],
    })),
  };
}

export const planVerdict = ({ neuron, checks, shortMib }: placement.NeuronVerdict): PlacementVerdict => ({
  neuron,
  checks: checks.map((check) => ({ ...check })),
  short_mb: shortMib,
});

function planConflict(conflict: placement.Conflict | null): ExplainedUnplaced["conflict"] {
  if (conflict === null) return null;
  const { models, lines, needMib, haveMib, neurons } = conflict;
  return {
    models: models.map(({ modelId, copies, mib }) => ({ model_id: modelId, copies, vram_mb: mib })),
    lines: lines.map((line) => ({ ...line })),
    need_mb: needMib,
    have_mb: haveMib,
    neurons: [...neurons],
  };
}
