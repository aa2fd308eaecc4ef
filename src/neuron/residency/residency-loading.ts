import { bytesToMib } from "../../core/quantities.ts";
import { observeUsedMib, recordMeasured, reserve } from "./device-ledger.ts";
import { advanceJob, endJob } from "./job-history.ts";
import {
  findInstance,
  type EventOf,
  type Residency,
  type ResidencyEffect,
  type ResidencyStep,
  type Resident,
} from "./residency-state.ts";
import { forgetFailure } from "./load-failures.ts";
import { failBeforeStart, stopWorker, unchanged, withResident } from "./residency-steps.ts";

export function onSourceProgressed(state: Residency, event: EventOf<"source-progressed">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "verifying") return unchanged(state);
  const { step, bytesDone, bytesTotal, etaSecs } = event;
  const change =
    step === "verifying"
      ? { state: step }
      : {
          state: step,
          progress: bytesTotal === null || bytesTotal === 0 ? null : Math.min(1, bytesDone / bytesTotal),
          download: { bytes_done: bytesDone, bytes_total: bytesTotal, eta_secs: etaSecs },
        };
  return unchanged({ ...state, jobs: advanceJob(state.jobs, event.instance, change) });
}

export function onSourceVerified(state: Residency, event: EventOf<"source-verified">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "verifying") return unchanged(state);
  const verified: Resident = {
    ...resident,
    phase: {
      // A swap finds out first whether anybody must give way.
      name: resident.eviction === null ? "verified" : "evicting",
      file: event.file,
      requiredMib: event.requiredMib,
    },
  };
  const next = withResident(state, verified);
  return advanceLoads(
    {
      ...next,
      ledger: observeUsedMib(next.ledger, event.usedMib),
      jobs: advanceJob(next.jobs, event.instance, { state: "reserving" }),
    },
    event.atMs,
  );
}

export function onSourceRefused(state: Residency, event: EventOf<"source-refused">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "verifying") return unchanged(state);
  return { ...failBeforeStart(state, resident, event), answer: null };
}

export function onLoadProgressed(state: Residency, event: EventOf<"load-progressed">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "loading") return unchanged(state);
  const progress = Math.min(1, Math.max(0, event.fraction));
  return unchanged({ ...state, jobs: advanceJob(state.jobs, event.instance, { progress }) });
}

/** No change that a planner sees: the generation stays. */
export function onThreadsChosen(state: Residency, event: EventOf<"threads-chosen">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident === undefined || resident.facts === null) return unchanged(state);
  return unchanged(
    withResident(state, {
      ...resident,
      facts: {
        ...resident.facts,
        threads: event.threads,
        ...(event.steps === undefined ? {} : { steps: event.steps }),
      },
    }),
  );
}

export function onModelLoaded(state: Residency, event: EventOf<"model-loaded">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "loading") return unchanged(state);
  const measured = recordMeasured(state.ledger, {
    holder: resident.spec.model_id,
    measuredMib: bytesToMib(event.facts.memory_bytes),
    devices: resident.devices,
  });
  if (!measured.ok) return onLoadFailed(state, { ...event, kind: "load-failed", failure: measured.error });
  const arrived: Resident = {
    ...resident,
    phase: { name: "arrived", loadedAtMs: event.atMs },
    facts: event.facts,
  };
  const next: Residency = {
    ...withResident(state, arrived),
    ledger: measured.value.ledger,
    failures: forgetFailure(state.failures, resident.specHash),
  };
  const step = advanceLoads(next, event.atMs);
  return { ...step, effects: [{ kind: "keep-assignment", instance: event.instance }, ...step.effects] };
}

/** What is told from here on holds whatever becomes of this neuron. */
export function onAssignmentKept(state: Residency, event: EventOf<"assignment-kept">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "arrived") return unchanged(state);
  const { loadedAtMs } = resident.phase;
  return {
    state: {
      ...withResident(state, { ...resident, phase: { name: "loaded" }, loadedAtMs }),
      jobs: endJob(state.jobs, event.instance, { atMs: event.atMs, failure: null }),
    },
    effects: [{ kind: "report-load-ended", jobId: event.instance }],
    answer: null,
  };
}

/** The worker gave up, or may not stay: its entry and its memory remain until the process is gone. */
export function onLoadFailed(state: Residency, event: EventOf<"load-failed">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "loading") return unchanged(state);
  return stopWorker(state, resident, { unloadJobId: null, loadFailure: event.failure });
}

/**
 * Moves every load on as far as it can go now, oldest first: promises memory to those whose file is good, then
 * starts those whose devices have no other load under way. A load that does not fit waits only while a worker
 * that was told to go still holds memory, or while those who give way to it drain (both are bounded); younger loads
 * wait behind it, so that they cannot take the memory it waits for. Once the neuron closes, nothing is started any more.
 */
export function advanceLoads(state: Residency, atMs: number): ResidencyStep {
  if (state.mode === "closing") return unchanged(state);
  const promised = promiseMemory(state, atMs);
  const started = startPromised(promised.state, atMs);
  return { ...started, effects: [...promised.effects, ...started.effects] };
}

function promiseMemory(start: Residency, atMs: number): ResidencyStep {
  let state = start;
  const effects: ResidencyEffect[] = [];
  for (const resident of start.models.values()) {
    const { phase, spec } = resident;
    if (phase.name === "evicting") break;
    if (phase.name !== "verified") continue;
    const reservation = reserve(state.ledger, {
      holder: spec.model_id,
      requiredMib: phase.requiredMib,
      minDevices: spec.min_devices,
      devices: spec.devices,
    });
    if (reservation.ok) {
      const { ledger, devices } = reservation.value;
      const reserved: Resident = {
        ...resident,
        devices,
        phase: { name: "reserved", file: phase.file },
      };
      state = { ...withResident(state, reserved), ledger };
      continue;
    }
    if (reservation.error.code === "insufficient_vram" && memoryIsBeingFreed(state)) break;
    const failed = failBeforeStart(state, resident, { failure: reservation.error, atMs });
    state = failed.state;
    effects.push(...failed.effects);
  }
  return { state, effects, answer: null };
}

const memoryIsBeingFreed = (state: Residency): boolean =>
  [...state.models.values()].some((resident) => resident.phase.name === "stopping");

function startPromised(start: Residency, atMs: number): ResidencyStep {
  let state = start;
  const effects: ResidencyEffect[] = [];
  const busy = new Set<number>();
  for (const resident of start.models.values()) {
    if (resident.phase.name === "loading") for (const device of resident.devices) busy.add(device);
  }
  for (const resident of start.models.values()) {
    if (resident.phase.name !== "reserved") continue;
    const { file } = resident.phase;
    const mustWait = resident.devices.some((device) => busy.has(device));
    // One that waits also keeps younger loads off its devices: otherwise a wide model could wait for ever.
    for (const device of resident.devices) busy.add(device);
    if (mustWait) continue;
    state = {
      ...withResident(state, { ...resident, phase: { name: "loading" } }),
      jobs: advanceJob(state.jobs, resident.instance, {
        state: "loading",
        ...(file.predictedMs === null ? {} : { eta_at_ms: atMs + file.predictedMs }),
      }),
    };
    const { instance, spec, devices } = resident;
    effects.push({ kind: "start-worker", instance, spec, file, devices });
  }
  return { state, effects, answer: null };
}
