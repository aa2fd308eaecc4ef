import { by } from "../../core/order.ts";
import { canonicalDigest } from "../../core/canonical-digest.ts";
import { PLAN_FORMAT_VERSION, type PlanDocument } from "../../protocol/plan-document.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import type { SizeSource } from "../observe/device-memory.ts";
import type { Change } from "../schedule/draft.ts";
import type { Outlook } from "../schedule/forecast.ts";
import { encodeNeuron } from "./encode-neuron.ts";
import { encodeAssignment, encodeGap, encodeUnplaced } from "./encode-placement.ts";
import type { Comparison, FleetPlan } from "./fleet-plan.ts";
import type { PlanRow } from "./rows.ts";
import type { Survival } from "./survival.ts";
import type { UnloadGuard } from "./unload-guard.ts";

/*
 * The one place where a plan becomes the document that is shown, saved, verified and applied. Within the planner memory
 * is in `Mib` and a name has one spelling; the document writes `_mb` and snake case, and whole sentences. The order of
 * keys is the order in which people read them.
 */
export function encodePlan(plan: FleetPlan): PlanDocument {
  const document = encodeUndigested(plan);
  const { format_version, ...rest } = document;
  return { format_version, digest: canonicalDigest(document), ...rest };
}

function encodeUndigested(plan: FleetPlan): Omit<PlanDocument, "digest"> {
  const { unplaced, unknown, deferred, problems, rows, outsideTargets } = plan;
  const { traffic, observedAtMs } = plan.observed;
  const { neurons } = plan.observed;
  const isSeen = neurons.length === 0 || neurons.some(({ reachable }) => reachable);
  const isSettled = isSeen && [unplaced, unknown, deferred].every((open) => open.length === 0);
  return {
    format_version: PLAN_FORMAT_VERSION,
    cortex_version: plan.cortexVersion,
    fleet: plan.fleet,
    takes_over: [...plan.takesOver],
    revision: plan.revision,
    fleet_digest: plan.fleetDigest,
    observation: { ...plan.observation, taken_at_ms: observedAtMs },
    applyable: problems.length === 0 && rows.length > 0,
    complete: isSettled && outsideTargets === 0,
    errored: problems.length > 0,
    problems: [...problems],
    targets: [...plan.targets],
    ...(plan.excepted === undefined ? {} : { excepted: [...plan.excepted] }),
    outside_targets: outsideTargets,
    comparison: plan.comparison === null ? null : encodeComparison(plan.comparison),
    declaration: plan.declaration,
    declared: encodeDeclared(plan.desired),
    neurons: plan.observed.neurons
      .map((neuron) => encodeNeuron(neuron, plan.neuronBlocks.get(neuron.name), plan.simulation))
      .toSorted(by(({ name }) => name)),
    changes: rows.map(encodeRow),
    unchanged: plan.unchanged,
    unload_guard: encodeGuard(plan.unloadGuard),
    unplaced: unplaced.map(encodeUnplaced),
    unknown: unknown.map(({ modelId, replicas, neurons }) => ({
      model_id: modelId,
      replicas,
      neurons: [...neurons],
    })),
    deferred: deferred.map(({ id, modelId, reason }) => ({ id, model_id: modelId, reason })),
    left_alone: plan.leftAlone.map(({ modelId, neuron, because, fleet, reason }) => ({
      model_id: modelId,
      neuron,
      because,
      fleet,
      reason,
    })),
    placement: encodeGap(plan.gap),
    assignments: plan.assignments.map(encodeAssignment),
    schedule: encodeOutlook(plan.outlook),
    survival: encodeSurvival(plan.survival),
    traffic: traffic === undefined ? null : { window_secs: traffic.windowSecs },
  };
}

const encodeComparison = (comparison: Comparison): NonNullable<PlanDocument["comparison"]> => ({
  revision: comparison.revision,
  fleet_digest: comparison.fleetDigest,
  avoided: [...comparison.avoided],
  newly_unplaced: [...comparison.newlyUnplaced],
});

const encodeDeclared = (desired: ReadonlyMap<string, DesiredModel>): PlanDocument["declared"] =>
  [...desired.values()]
    .map(({ block, specHash, priority, floor }) => ({
      model_id: block.id,
      replicas: block.replicas,
      pinned_on: block.pinned_on.toSorted(),
      min_devices: floor.minDevices,
      min_device_vram_mb: floor.minDeviceMib,
      residency_priority: priority,
      protect: block.protect,
      ...(block.probe === undefined ? {} : { probe: block.probe }),
      spec_hash: specHash,
    }))
    .toSorted(by(({ model_id }) => model_id));

type Row = PlanDocument["changes"][number];

const ACTIONS: Readonly<Record<Change["kind"], Row["actions"]>> = {
  load: ["load"],
  unload: ["unload"],
  replace: ["unload", "load"],
};

/** The document knows no difference between what a header and what a similar copy lets expect. */
const VRAM_SOURCE: Readonly<Record<SizeSource, Row["vram_source"]>> = {
  measured: "measured",
  metadata: "estimated",
  declared: "declared",
  similar: "estimated",
  unknown: "unknown",
};

const encodeRow = (row: PlanRow): Row => ({
  id: row.id,
  model_id: row.modelId,
  neuron: row.neuron,
  kind: row.kind,
  actions: [...ACTIONS[row.kind]],
  action_reason: row.reason,
  detail: row.detail,
  protected: row.isProtected,
  devices: [...row.devices],
  device_vram_mb: [...row.deviceMib],
  vram_before_mb: row.beforeMib,
  vram_after_mb: row.afterMib,
  vram_source: VRAM_SOURCE[row.sizeSource],
  duration: { ...row.duration },
  spec: row.spec,
  depends_on: [...row.dependsOn],
  wave: row.wave,
  downtime: row.downtime,
  download_bytes: row.downloadBytes,
  requests:
    row.requests === null
      ? null
      : {
          in_flight: row.requests.inFlight,
          queued: row.requests.queued,
          per_minute: row.requests.perMinute,
        },
  caused_by: row.causedBy,
});

const encodeGuard = (guard: UnloadGuard): PlanDocument["unload_guard"] => ({
  copies_loaded: guard.copiesLoaded,
  copies_lost: guard.copiesLost,
  percent: guard.percent,
  limit_percent: guard.limitPercent,
  exceeded: guard.exceeded,
});

const encodeOutlook = (outlook: Outlook): PlanDocument["schedule"] => ({
  predicted_secs: outlook.predictedSecs,
  unpredicted_steps: outlook.unpredictedSteps,
  confidence: outlook.confidence,
  critical_path: [...outlook.criticalPath],
  waves: outlook.waves,
  parallelism: outlook.parallelism,
});

const encodeSurvival = ({ neurons, remark }: Survival): PlanDocument["survival"] => ({
  neurons:
    neurons?.map(({ neuron, lost, reduced, reloaded }) => ({
      neuron,
      lost: [...lost],
      reduced: [...reduced],
      reloaded: [...reloaded],
    })) ?? null,
  remark,
});
