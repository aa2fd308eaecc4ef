import type { PlanDocument } from "../../protocol/plan-document.ts";
import type {
  Conflict,
  ExplainedAssignment,
  NeuronVerdict,
  PlacementGap,
  UnplacedExplanation,
} from "../place/board/placement.ts";
import { adviceOf, adviceText, copiesShort, reasonOf, summaryOf } from "../place/explain/refusals.ts";
import { ruleText } from "../place/explain/words.ts";

/* Placement's findings as the plan document shows them: the same facts, and each rule and remedy in words. */

type Unplaced = PlanDocument["unplaced"][number];

export const encodeAssignment = (assignment: ExplainedAssignment): PlanDocument["assignments"][number] => ({
  model_id: assignment.modelId,
  neuron: assignment.neuron,
  devices: [...assignment.devices],
  device_vram_mb: [...assignment.deviceMib],
  status: assignment.status,
  moved_from: assignment.movedFrom,
  rule: assignment.reason.rule,
  reason: ruleText(assignment),
});

export const encodeGap = (gap: PlacementGap): PlanDocument["placement"] => ({
  status: gap.kind,
  gap_percent: gap.percent,
  counts: gap.counts,
  placed: gap.placed,
  bound: gap.bound,
  engine: gap.engine,
});

/** A model that lacks a copy, with what placement found out about it. */
export const encodeUnplaced = (found: UnplacedExplanation): Unplaced => ({
  model_id: found.modelId,
  missing_replicas: copiesShort(found),
  refusals: found.verdicts.map((verdict) => ({ neuron: verdict.neuron, reason: reasonOf(verdict) })),
  hint: adviceOf(found),
  layer: found.layer,
  summary: summaryOf(found),
  verdicts: found.verdicts.map(encodeVerdict),
  need_mb: found.need.mib ?? null,
  blockers: found.blockers.map(({ neuron, modelId, mib, because }) => ({
    neuron,
    model_id: modelId,
    vram_mb: mib,
    because,
  })),
  conflict: encodeConflict(found.conflict),
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
});

const encodeVerdict = ({ neuron, checks, shortMib }: NeuronVerdict): Unplaced["verdicts"][number] => ({
  neuron,
  checks: checks.map((check) => ({ ...check })),
  short_mb: shortMib,
});

function encodeConflict(conflict: Conflict | null): Unplaced["conflict"] {
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
