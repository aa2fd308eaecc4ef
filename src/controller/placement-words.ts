import { formatMib } from "../core/quantities.ts";
import type {
  ExplainedUnplaced,
  PlanAssignment,
  PlacementGap,
  PlacementVerdict,
  UnplacedCopy,
} from "../protocol/plan-document.ts";
import { remedyText, summaryOf } from "./placement-refusals.ts";
import type * as placement from "./placement-types.ts";

/** Placement's findings as the plan document shows them: the same facts, and each rule and remedy in words. */
export function planAssignment(assignment: placement.Assignment): PlanAssignment {
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

function ruleText({ neuron, reason, status }: placement.Assignment): string {
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
  only_place: () => "no other neuron can hold it",
  spares_on_demand_room: (why) => `least room for models on demand is lost${runnerUp(why)}`,
  most_free: (why) => `most memory stays free: ${formatMib(why.freeAfterMib)}${runnerUp(why)}`,
  tightest_fit: (why) => `it fits best: ${formatMib(why.freeAfterMib)} stay free${runnerUp(why)}`,
  weight: (why) => `{neuron} has the higher weight${runnerUp(why)}`,
  fewest_models: (why) => `{neuron} holds the fewest models${runnerUp(why)}`,
  tie_break: (why) => `{neuron} is as good as any${runnerUp(why)}`,
  joint_fit: (why) => `only so do all copies fit together${runnerUp(why)}`,
};

export const planGap = (gap: placement.PlacementGap): PlacementGap => ({
  status: gap.kind,
  gap_percent: gap.percent,
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
      text: remedyText(remedy, found),
      ...remedy,
      line: remedy.line === null ? null : { ...remedy.line },
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
