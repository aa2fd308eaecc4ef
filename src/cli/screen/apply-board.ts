import { assertNever } from "../../core/assert-never.ts";
import type { ApplyEvent } from "../../protocol/apply-events.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";

type Progress = ApplyEvent & { type: "step-progress" };

/** What a neuron is at now. */
export interface RunningStep {
  readonly step: string;
  /** Without the neuron, which stands beside it: `load m`. */
  readonly title: string;
  readonly startedMs: number;
  readonly predictedSecs: number | null;
  readonly progress: Progress | undefined;
  /** Since when it is in the state that `progress` tells. */
  readonly stateSinceMs: number;
}

export interface BoardDevice {
  readonly index: number;
  readonly usedMb: number;
  readonly totalMb: number;
}

/** The changes of one neuron, as they are carried out. */
export interface BoardLane {
  readonly neuron: string;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly skipped: number;
  readonly running: RunningStep | undefined;
  readonly devices: readonly BoardDevice[];
}

/** All that a screen of an apply shows. */
export interface ApplyBoard {
  readonly lanes: readonly BoardLane[];
  readonly startedMs: number;
  /** What the plan expects of all of it; null when it cannot tell. */
  readonly predictedSecs: number | null;
}

export function beginBoard(
  plan: Pick<PlanDocument, "changes" | "neurons" | "schedule">,
  startedMs: number,
): ApplyBoard {
  const lanes = plan.neurons
    .map(({ name, devices }) => ({
      neuron: name,
      total: plan.changes.filter(({ neuron }) => neuron === name).length,
      done: 0,
      failed: 0,
      skipped: 0,
      running: undefined,
      devices: devices.map(({ index, vram_before_mb: usedMb, vram_total_mb: totalMb }) => ({
        index,
        usedMb,
        totalMb,
      })),
    }))
    .filter(({ total }) => total > 0);
  return { lanes, startedMs, predictedSecs: plan.schedule.predicted_secs };
}

/** The board after an event; `neuronOf` finds the neuron of a step. */
export function noteOnBoard(
  board: ApplyBoard,
  event: ApplyEvent,
  { nowMs, neuronOf }: { readonly nowMs: number; readonly neuronOf: ReadonlyMap<string, string> },
): ApplyBoard {
  const name = event.type === "devices-read" ? event.neuron : neuronOf.get(event.step);
  const lanes = board.lanes.map((lane) => (lane.neuron === name ? noteOnLane(lane, event, nowMs) : lane));
  return { ...board, lanes };
}

function noteOnLane(lane: BoardLane, event: ApplyEvent, nowMs: number): BoardLane {
  switch (event.type) {
    case "step-started": {
      const { kind, model_id, duration } = event.change;
      const title = `${kind} ${model_id}`;
      const begun = { step: event.step, title, startedMs: nowMs, predictedSecs: duration.secs };
      return { ...lane, running: { ...begun, progress: undefined, stateSinceMs: nowMs } };
    }
    case "step-progress":
      return lane.running?.step === event.step
        ? { ...lane, running: progressed(lane.running, event, nowMs) }
        : lane;
    case "step-done":
      return { ...lane, done: lane.done + 1, running: undefined };
    case "step-failed":
      return { ...lane, failed: lane.failed + 1, running: undefined };
    case "step-skipped": {
      // Of a neuron that goes on with what it does: after a Ctrl-C all that waits is given up at once.
      const running = lane.running?.step === event.step ? undefined : lane.running;
      return { ...lane, skipped: lane.skipped + 1, running };
    }
    case "devices-read": {
      const devices = event.devices.map(({ index, vram_used_mb: usedMb, vram_total_mb: totalMb }) => ({
        index,
        usedMb,
        totalMb,
      }));
      return { ...lane, devices };
    }
    default:
      return assertNever(event);
  }
}

function progressed(running: RunningStep, progress: Progress, nowMs: number): RunningStep {
  const isSameState = running.progress?.state === progress.state;
  return { ...running, progress, stateSinceMs: isSameState ? running.stateSinceMs : nowMs };
}

/** Less of a load than this says little about the rest. */
const TELLING_FRACTION = 0.1;

/**
 * Seconds that a step still takes: its neuron's word, else as quickly as it went so far, else what the plan expected; null
 * when nobody knows.
 */
export function secsLeft(running: RunningStep, nowMs: number): number | null {
  const { progress, predictedSecs, startedMs, stateSinceMs } = running;
  if (progress?.download !== undefined && progress.download.eta_secs !== null)
    return progress.download.eta_secs;
  if (progress?.eta_secs !== undefined) return progress.eta_secs;
  const fraction = progress?.state === "loading" ? (progress.fraction ?? 0) : 0;
  if (fraction >= TELLING_FRACTION) return ((nowMs - stateSinceMs) / 1000) * ((1 - fraction) / fraction);
  if (predictedSecs === null) return null;
  const left = predictedSecs - (nowMs - startedMs) / 1000;
  // Later than predicted: no figure is better than one that is known to be wrong.
  return left > 0 ? left : null;
}

/** Seconds that all of it still takes, by the plan; null when it cannot tell, it is later than that, or not all will be done. */
export function boardSecsLeft({ predictedSecs, startedMs, lanes }: ApplyBoard, nowMs: number): number | null {
  if (predictedSecs === null || lanes.some(({ skipped, failed }) => skipped + failed > 0)) return null;
  const left = predictedSecs - (nowMs - startedMs) / 1000;
  return left > 0 ? left : null;
}
