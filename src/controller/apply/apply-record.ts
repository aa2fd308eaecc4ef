import type { ApplyResult } from "../../protocol/apply-events.ts";
import {
  APPLY_RECORD_VERSION,
  type ApplyRecord,
  type StepOutcome,
  type StepRecord,
} from "../../protocol/refs/apply-record.ts";
import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { isSettled } from "../../protocol/plan-settled.ts";
import { specHash } from "../../protocol/spec-hash.ts";

/** When an apply began and ended, and under which right. */
export interface ApplyMoment {
  /** Of the lease; null without one. */
  readonly epoch: number | null;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** What the history keeps of an apply: every change of the plan, with what was predicted beside what was measured. */
export function applyRecord(plan: PlanDocument, result: ApplyResult, moment: ApplyMoment): ApplyRecord {
  const steps = plan.changes.map((change) => stepRecord(change, result));
  return {
    format_version: APPLY_RECORD_VERSION,
    cortex_version: plan.cortex_version,
    fleet: plan.fleet,
    revision: plan.revision,
    fleet_digest: plan.fleet_digest,
    plan_digest: plan.digest,
    epoch: moment.epoch,
    started_at_ms: moment.startedAtMs,
    ended_at_ms: moment.endedAtMs,
    predicted_secs: plan.schedule.predicted_secs,
    actual_secs: result.duration_ms / 1000,
    interrupted: result.interrupted,
    timed_out: result.timed_out,
    superseded: result.superseded,
    as_declared: isSettled(plan) && steps.every(({ outcome }) => outcome === "applied"),
    steps,
  };
}

function stepRecord(change: PlanChange, result: ApplyResult): StepRecord {
  const applied = result.applied.find(({ step }) => step === change.id);
  const failed = result.failed.find(({ step }) => step === change.id);
  const waited = result.not_started.find(({ step }) => step === change.id);
  const { model_id, neuron, kind, actions, devices, duration } = change;
  const isMeasured = applied !== undefined && !applied.actual.was_done;
  return {
    step: change.id,
    model_id,
    neuron,
    kind,
    actions,
    devices,
    spec_hash: change.spec === null ? null : specHash(change.spec),
    outcome: outcomeOf({ applied, failed, waited }),
    reason: failed?.error.message ?? waited?.reason ?? null,
    code: failed?.error.code ?? null,
    predicted: {
      secs: duration.secs,
      source: duration.source,
      download_bytes: change.download_bytes,
      vram_mb: change.vram_after_mb,
    },
    actual: isMeasured
      ? {
          secs: applied.duration_ms / 1000,
          download_bytes: applied.actual.download_bytes,
          vram_mb: applied.actual.vram_mb,
        }
      : null,
  };
}

function outcomeOf(rows: {
  readonly applied: unknown;
  readonly failed: unknown;
  readonly waited: unknown;
}): StepOutcome {
  if (rows.applied !== undefined) return "applied";
  if (rows.failed !== undefined) return "failed";
  return rows.waited === undefined ? "still_running" : "not_started";
}
