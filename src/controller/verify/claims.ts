import type { PlanAssignment, PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { bringsCopyUp, Findings, takesCopyDown } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";

/** What the plan says about itself: why rows are there, what became of each copy, how good the placement is, who is named. */
export function verifyClaims(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  for (const change of plan.changes) verifyReason(found, index, change);
  for (const assignment of plan.assignments) verifyAssignment(found, index, assignment);
  verifyPlacement(found, plan);
  verifyNames(found, plan);
  return found;
}

const REASONS: Readonly<Record<PlanChange["kind"], readonly PlanChange["action_reason"][]>> = {
  load: ["declared_not_loaded", "moved", "spec_changed", "parked"],
  replace: ["spec_changed"],
  unload: [
    "loaded_not_declared",
    "replicas_lowered",
    "spec_changed",
    "pin_changed",
    "requirements_changed",
    "neuron_drained",
    "makes_room",
    "parking_ended",
  ],
};

/** A reason that the files and the neuron bear out. */
function verifyReason(found: Findings, index: PlanIndex, change: PlanChange): void {
  const { action_reason: reason, kind, neuron } = change;
  const model = index.declared(change.model_id);
  const holds: Partial<Record<PlanChange["action_reason"], boolean>> = {
    loaded_not_declared: model === undefined,
    neuron_drained: index.neuron(neuron)?.drain === true,
    pin_changed: model !== undefined && model.pinned_on.length > 0 && !model.pinned_on.includes(neuron),
    // Also to other devices of its own neuron.
    moved: index.rowsOf(change.model_id).some(takesCopyDown),
  };
  found.expect(REASONS[kind].includes(reason) && holds[reason] !== false, "accounting", {
    where: change.id,
    message: `gives ${reason} as its reason, which is not so`,
  });
}

/** The fate of a copy is what the rows make of it. */
function verifyAssignment(found: Findings, index: PlanIndex, assignment: PlanAssignment): void {
  const { plan } = index;
  const { model_id: where, neuron, status, moved_from: from } = assignment;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "accounting", { where, message });
  };
  const heldBy = (name: string) => index.copyOn(name, where);
  expect((from === null) === (status !== "moved"), `is ${status} and comes from ${from ?? "nowhere"}`);
  expect(from === null || heldBy(from) !== undefined, `comes from ${from ?? ""}, which does not hold it`);
  if (plan.targets.length > 0 || plan.deferred.length > 0) return;
  const arrival = index.rowsOf(where).findLast((change) => change.neuron === neuron && bringsCopyUp(change));
  const stays = status === "kept" || status === "outdated";
  expect(
    stays === (arrival === undefined),
    `is said to be ${status} on ${neuron}, and the rows say otherwise`,
  );
  const held = heldBy(neuron);
  expect(!stays || held !== undefined, `stays on ${neuron}, which does not hold it`);
  const isDeclared = held !== undefined && isAsDeclared(index, held);
  expect(
    !stays || isDeclared === (status === "kept"),
    `is ${status} on ${neuron}, with other settings than that`,
  );
  const amounts = arrival ?? held;
  expect(
    amounts === undefined || amountsOf(amounts) === amountsOf(assignment),
    `takes other memory on ${neuron} than its row or the neuron says`,
  );
}

const isAsDeclared = (
  index: PlanIndex,
  held: { readonly model_id: string; readonly spec_hash: string },
): boolean => index.declared(held.model_id)?.spec_hash === held.spec_hash;

const amountsOf = (copy: {
  readonly devices: readonly number[];
  readonly device_vram_mb: readonly number[];
}): string =>
  copy.devices
    .map((device, position) => `${device}:${copy.device_vram_mb[position] ?? 0}`)
    .toSorted()
    .join(" ");

function verifyPlacement(found: Findings, plan: PlanDocument): void {
  const { status, gap_percent: percent, counts, placed, bound } = plan.placement;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "accounting", { where: "placement", message });
  };
  expect(bound === null || bound >= placed, `has placed ${placed}, above its bound of ${bound ?? 0}`);
  const gap = bound === null ? null : Math.ceil(((bound - placed) / Math.max(1, bound)) * 100_000) / 1000;
  expect(percent === gap, `says that it is within ${percent} %, and its bound makes that ${gap} %`);
  const fitting = gap === null ? "unknown" : gap === 0 ? "optimal" : "within";
  expect(status === fitting, `calls itself ${status}, and is ${fitting}`);
  // A gap may be that of the higher classes only.
  expect(
    counts !== "copies" || placed <= plan.assignments.length,
    `says that ${placed} copies have a place, and ${plan.assignments.length} do`,
  );
}

/** Nobody is named whom the plan does not know. */
function verifyNames(found: Findings, plan: PlanDocument): void {
  const neurons = new Set(plan.neurons.map(({ name }) => name));
  const models = new Set([
    ...plan.declared.map(({ model_id }) => model_id),
    ...plan.neurons.flatMap((neuron) => neuron.models.map(({ model_id }) => model_id)),
  ]);
  const named = namesOf(plan);
  for (const name of named.neurons)
    found.expect(neurons.has(name), "structure", { where: "document", message: `names the neuron ${name}` });
  for (const name of named.models)
    found.expect(models.has(name), "structure", { where: "document", message: `names the model ${name}` });
}

function namesOf({ unplaced, survival, unknown, deferred }: PlanDocument): {
  readonly neurons: readonly string[];
  readonly models: readonly string[];
} {
  const deaths = survival.neurons ?? [];
  return {
    neurons: [
      ...deaths.map(({ neuron }) => neuron),
      ...unplaced.flatMap(({ refusals, verdicts, blockers, conflict }) => [
        ...refusals.map(({ neuron }) => neuron),
        ...verdicts.map(({ neuron }) => neuron),
        ...blockers.map(({ neuron }) => neuron),
        ...(conflict?.neurons ?? []),
      ]),
    ],
    models: [
      ...deaths.flatMap(({ lost, reduced, reloaded }) => [...lost, ...reduced, ...reloaded]),
      ...unplaced.flatMap(({ model_id, blockers, conflict, remedies }) => [
        model_id,
        ...blockers.map((blocker) => blocker.model_id),
        ...(conflict?.models ?? []).map((model) => model.model_id),
        ...remedies.flatMap(({ costs }) => costs),
      ]),
      ...unknown.map(({ model_id }) => model_id),
      ...deferred.map(({ model_id }) => model_id),
    ],
  };
}
