import type { CortexError } from "../../core/errors.ts";
import { advanceJob, endJob } from "./job-history.ts";
import type { Residency, ResidencyEffect, ResidencyStep, Resident } from "./residency-state.ts";

export const unchanged = (state: Residency): ResidencyStep => ({ state, effects: [], answer: null });

export const withResident = (state: Residency, resident: Resident): Residency => ({
  ...state,
  models: new Map(state.models).set(resident.spec.model_id, resident),
});

export function withoutResident(state: Residency, resident: Resident): Residency {
  const models = new Map(state.models);
  models.delete(resident.spec.model_id);
  return { ...state, models };
}

/** A load that has no process yet ends on the spot. */
export function failBeforeStart(
  state: Residency,
  resident: Resident,
  end: { readonly failure: CortexError; readonly atMs: number },
): { readonly state: Residency; readonly effects: readonly ResidencyEffect[] } {
  return {
    state: { ...withoutResident(state, resident), jobs: endJob(state.jobs, resident.instance, end) },
    effects: [{ kind: "report-load-ended", jobId: resident.instance }],
  };
}

/**
 * Sends the process of a copy away. The copy keeps its entry and its memory until the process is gone, and a load that
 * had not ended ends then, with `loadFailure`.
 */
export function stopWorker(
  state: Residency,
  resident: Resident,
  why: { readonly unloadJobId: string | null; readonly loadFailure: CortexError | null },
): ResidencyStep {
  const { unloadJobId } = why;
  return {
    state: {
      ...withResident(state, { ...resident, phase: { name: "stopping", ...why } }),
      jobs: unloadJobId === null ? state.jobs : advanceJob(state.jobs, unloadJobId, { state: "stopping" }),
    },
    effects: [{ kind: "stop-worker", instance: resident.instance }],
    answer: null,
  };
}
