import { CortexError } from "../../core/errors.ts";
import { advanceJob, endJob } from "./job-history.ts";
import { rememberFailure } from "./load-failures.ts";
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

/** What a step leads to, after what led to it. */
export const after = (before: readonly ResidencyEffect[], step: ResidencyStep): ResidencyStep => ({
  ...step,
  effects: [...before, ...step.effects],
});

/** A load that has no process yet ends on the spot; whoever was to give way to it stays. */
export function failBeforeStart(
  state: Residency,
  resident: Resident,
  end: { readonly failure: CortexError; readonly atMs: number },
): { readonly state: Residency; readonly effects: readonly ResidencyEffect[] } {
  const failure = withRemains(resident, end.failure);
  const spared = spareVictims(withoutResident(state, resident), resident.instance);
  return {
    state: {
      ...spared.state,
      jobs: endJob(spared.state.jobs, resident.instance, { failure, atMs: end.atMs }),
      failures:
        // Memory that others hold now says nothing about the next try.
        failure.code === "insufficient_vram"
          ? state.failures
          : rememberFailure(state.failures, resident.specHash, { failure: end.failure, atMs: end.atMs }),
    },
    effects: [...spared.effects, { kind: "report-load-ended", jobId: resident.instance }],
  };
}

/** Whoever was to give way to `instance` and has not been told to go works on, unless it leaves for another reason. */
function spareVictims(start: Residency, instance: string): ResidencyStep {
  let state = start;
  const effects: ResidencyEffect[] = [];
  for (const resident of start.models.values()) {
    const { phase } = resident;
    if (phase.name !== "draining" || phase.givesWayTo !== instance) continue;
    if (phase.unloadJobId === null) {
      state = withResident(state, { ...resident, phase: { name: "loaded" } });
    } else if (resident.openRequests > 0) {
      state = withResident(state, { ...resident, phase: { ...phase, givesWayTo: null } });
    } else {
      const stopped = stopWorker(state, resident, { unloadJobId: phase.unloadJobId, loadFailure: null });
      ({ state } = stopped);
      effects.push(...stopped.effects);
    }
  }
  return { state, effects, answer: null };
}

/** The failure of a swap says what it left behind: its caller must not have to look. */
export function withRemains({ eviction }: Resident, failure: CortexError): CortexError {
  if (eviction === null) return failure;
  const { evicted } = eviction;
  const remains =
    evicted.length === 0
      ? "nothing was unloaded for it"
      : `${evicted.join(" and ")} ${evicted.length === 1 ? "was" : "were"} unloaded for it before`;
  return new CortexError(failure.code, `${failure.message}; ${remains}`, {
    details: { ...failure.details, evicted },
    next: failure.next,
    ...(failure.isFinal ? { retryAfterSecs: null } : {}),
    ...(failure.retryAfterSecs === undefined ? {} : { retryAfterSecs: failure.retryAfterSecs }),
    ...(failure.param === undefined ? {} : { param: failure.param }),
    cause: failure,
  });
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

export const takesNoModels = (): CortexError =>
  new CortexError("draining", "this neuron takes no new models: it is draining", {
    next: "load it on another neuron, or end the drain: POST /resume",
  });
