import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { openJob } from "./job-history.ts";
import { failureStillFresh } from "./load-failures.ts";
import {
  onAssignmentKept,
  onSourceProgressed,
  onSourceRefused,
  onSourceVerified,
  onLoadFailed,
  onLoadProgressed,
  onModelLoaded,
  onThreadsChosen,
} from "./residency-loading.ts";
import {
  findInstance,
  statusOf,
  UNNAMED_FLEET,
  type ChangeCondition,
  type Eviction,
  type Residency,
  type EventOf,
  type ResidencyEvent,
  type ResidencyStep,
  type Resident,
  type Victim,
} from "./residency-state.ts";
import { onDevicesLost } from "./residency-devices.ts";
import { onWorkerAdopted } from "./residency-adoption.ts";
import { awaitsRestart, withAwaited, withoutAwaited } from "./restarts.ts";
import { onShutdownBegun } from "./residency-shutdown.ts";
import { takesNoModels, unchanged, withResident } from "./residency-steps.ts";
import { moveEvictions } from "./residency-swapping.ts";
import {
  onDrainTimedOut,
  onJobCancelRequested,
  onRequestEnded,
  onUnloadRequested,
  onWorkerExited,
} from "./residency-unloading.ts";

/**
 * What is loaded on this neuron and what happens next, as one reducer: every cause is an event, every act is an
 * effect, and the loop that runs them (`io/residency-loop.ts`) decides nothing. Three laws hold after each event,
 * whatever the order of events:
 *
 * - No device is over its budget, and memory is promised again only after the process that held it has exited.
 * - The generation never falls, and rises with every change that a planner could have seen.
 * - Every job ends: a load with its worker's answer or exit, an unload with the exit or a called-off drain. A load is
 *   done once its worker is on disk, so that a neuron that is killed right afterwards leaves no worker that nobody knows.
 *
 * An event names the instance (the load job) it is about, so one that arrives late, about a copy that is gone,
 * changes nothing.
 */
export function reduceResidency(state: Residency, event: ResidencyEvent): ResidencyStep {
  const applied = applyEvent(state, event);
  const step = "atMs" in event ? moveEvictions(applied, event.atMs) : applied;
  return visibleChange(state, step.state)
    ? { ...step, state: { ...step.state, generation: state.generation + 1 } }
    : step;
}

// oxlint-disable-next-line complexity -- a flat table of events: each line is one decision, and only their number is high
function applyEvent(state: Residency, event: ResidencyEvent): ResidencyStep {
  switch (event.kind) {
    case "devices-discovered":
      return unchanged({ ...state, ledger: event.devices });
    case "devices-lost":
      return onDevicesLost(state, event);
    case "load-requested":
      return onCondition(state, event, (current) => onLoadRequested(current, event, null));
    case "swap-requested":
      return onCondition(state, event, (current) => onSwapRequested(current, event));
    case "unload-requested":
      return onCondition(state, event, (current) => onUnloadRequested(current, event));
    case "job-cancel-requested":
      return onJobCancelRequested(state, event);
    case "source-progressed":
      return onSourceProgressed(state, event);
    case "source-verified":
      return onSourceVerified(state, event);
    case "source-refused":
      return onSourceRefused(state, event);
    case "worker-adopted":
      return onWorkerAdopted(state, event);
    case "worker-spawned":
      return onWorkerSpawned(state, event);
    case "load-progressed":
      return onLoadProgressed(state, event);
    case "model-loaded":
      return onModelLoaded(state, event);
    case "assignment-kept":
      return onAssignmentKept(state, event);
    case "threads-chosen":
      return onThreadsChosen(state, event);
    case "load-failed":
      return onLoadFailed(state, event);
    case "worker-exited":
      return onWorkerExited(state, event);
    case "restart-came-due":
      return onRestartDue(state, event);
    case "return-awaited":
      return unchanged({ ...state, restarts: withAwaited(state.restarts, event.awaited, event.atMs) });
    case "return-given-up":
      return unchanged({ ...state, restarts: withoutAwaited(state.restarts, event.modelId) });
    case "drain-timed-out":
      return onDrainTimedOut(state, event);
    case "request-started":
      return onRequestStarted(state, event);
    case "request-refused":
      return onRequestRefused(state, event);
    case "request-ended":
      return onRequestEnded(state, event);
    case "drain-requested":
      return unchanged(state.mode === "closing" ? state : { ...state, mode: "draining" });
    case "resume-requested":
      return unchanged(state.mode === "closing" ? state : { ...state, mode: "open" });
    case "shutdown-begun":
      return onShutdownBegun(state, event);
    default:
      return assertNever(event);
  }
}

const refused = (state: Residency, failure: CortexError): ResidencyStep => ({
  ...unchanged(state),
  answer: { kind: "refused", failure },
});

/** An older apply than one that was seen is refused first: what it saw does not matter any more. */
function onCondition(
  state: Residency,
  { condition }: { readonly condition: ChangeCondition },
  change: (current: Residency) => ResidencyStep,
): ResidencyStep {
  const { ifMatch, epoch, fleet = UNNAMED_FLEET } = condition;
  const seen = state.epochs.get(fleet) ?? 0;
  if (epoch !== null && epoch < seen) {
    const message = `the change is of epoch ${epoch}, and this neuron has seen a change of epoch ${seen}`;
    const details = { epoch: seen, sent_epoch: epoch };
    return refused(state, new CortexError("stale_epoch", message, { details }));
  }
  const current =
    epoch === null || epoch === seen
      ? state
      : { ...state, epochs: new Map([...state.epochs, [fleet, epoch]]) };
  if (ifMatch === null || ifMatch === state.generation) return change(current);
  const message = `the change was made for generation ${ifMatch} and this neuron is at ${state.generation}`;
  const details = { generation: state.generation, if_match: ifMatch };
  return refused(current, new CortexError("stale_generation", message, { details }));
}

/** Names the copies that may give way as they are now: a later copy of the same model is not meant. */
function onSwapRequested(state: Residency, event: EventOf<"swap-requested">): ResidencyStep {
  const { request, evict, drainTimeoutMs, force } = event;
  if (evict.includes(request.model_id)) {
    const message = `${request.model_id} cannot give way to itself`;
    return refused(state, new CortexError("invalid_request_body", message, { param: "evict" }));
  }
  const victims: Victim[] = [];
  for (const modelId of new Set(evict)) {
    const resident = state.models.get(modelId);
    if (resident === undefined) continue;
    if (resident.loadedAtMs === null) {
      const message = `${modelId} is still loading, and a load under way does not give way`;
      return refused(state, new CortexError("model_busy", message, { details: { model_id: modelId } }));
    }
    victims.push({ modelId, instance: resident.instance });
  }
  return onLoadRequested(state, event, { victims, drainTimeoutMs, force, evicted: [] });
}

/** The answer is for nobody: what cannot be loaded again is told by the job, or not wanted any more. */
function onRestartDue(state: Residency, event: EventOf<"restart-came-due">): ResidencyStep {
  if (!awaitsRestart(state.restarts, event.request.model_id, event.instance)) return unchanged(state);
  return { ...onLoadRequested(state, event, null), answer: null };
}

function onLoadRequested(
  start: Residency,
  event: Pick<EventOf<"load-requested">, "jobId" | "request" | "atMs">,
  eviction: Eviction | null,
): ResidencyStep {
  const { origin, ...spec } = event.request;
  const present = start.models.get(spec.model_id);
  const hash = specHash(spec);
  if (present !== undefined) return onLoadOfPresent(start, present, hash);
  if (start.mode !== "open") {
    return refused(start, takesNoModels());
  }
  const failure = origin.kind === "request" ? failureStillFresh(start.failures, hash, event.atMs) : null;
  if (failure !== null) return refused(start, failure);
  // Only a load that begins takes the place of a return that is awaited.
  const state = { ...start, restarts: withoutAwaited(start.restarts, spec.model_id) };
  const resident: Resident = {
    instance: event.jobId,
    spec,
    specHash: hash,
    origin,
    eviction,
    isJoined: false,
    phase: { name: "verifying" },
    devices: [],
    pid: null,
    facts: null,
    openRequests: 0,
    rejectedQueueFull: 0,
    requestedAtMs: event.atMs,
    loadedAtMs: null,
    lastUsedMs: null,
    cycles: 0,
    returns: false,
  };
  const jobs = openJob(state.jobs, {
    id: event.jobId,
    kind: "load",
    model_id: spec.model_id,
    state: "verifying",
    created_at_ms: event.atMs,
  });
  return {
    state: { ...withResident(state, resident), jobs },
    effects: [{ kind: "verify-source", instance: event.jobId, spec }],
    answer: { kind: "job", jobId: event.jobId },
  };
}

/** Loads of one model are single-flight: the second caller shares what the first one started. */
function onLoadOfPresent(state: Residency, present: Resident, wantedHash: string): ResidencyStep {
  const { model_id: modelId } = present.spec;
  const status = statusOf(present.phase);
  if (status === "unloading") {
    const failure = new CortexError(
      "draining",
      `${modelId} is being unloaded; load it again when that is done`,
      {
        retryAfterSecs: 2,
        next: "wait for the unload to end, then load the model",
      },
    );
    return refused(state, failure);
  }
  if (present.specHash !== wantedHash) {
    const failure = new CortexError("spec_conflict", `${modelId} is ${status} with other settings`, {
      details: { present_spec_hash: present.specHash, wanted_spec_hash: wantedHash },
    });
    return refused(state, failure);
  }
  if (status === "loaded") return { ...unchanged(state), answer: { kind: "nothing-to-do" } };
  const joined = withResident(state, { ...present, isJoined: true });
  return { ...unchanged(joined), answer: { kind: "job", jobId: present.instance } };
}

function onWorkerSpawned(state: Residency, event: EventOf<"worker-spawned">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  return unchanged(resident === undefined ? state : withResident(state, { ...resident, pid: event.pid }));
}

function onRequestStarted(state: Residency, event: EventOf<"request-started">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "loaded") return unchanged(state);
  const openRequests = resident.openRequests + 1;
  return unchanged(withResident(state, { ...resident, openRequests, lastUsedMs: event.atMs }));
}

function onRequestRefused(state: Residency, event: EventOf<"request-refused">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident === undefined) return unchanged(state);
  const rejectedQueueFull = resident.rejectedQueueFull + 1;
  return unchanged(withResident(state, { ...resident, rejectedQueueFull }));
}

/** Whether a planner that saw `before` would now see something else. */
function visibleChange(before: Residency, after: Residency): boolean {
  if (before.models === after.models) return false;
  if (before.models.size !== after.models.size) return true;
  for (const [modelId, resident] of after.models) {
    const old = before.models.get(modelId);
    if (old === resident) continue;
    if (old === undefined || old.instance !== resident.instance) return true;
    if (statusOf(old.phase) !== statusOf(resident.phase)) return true;
    if (old.devices.join() !== resident.devices.join()) return true;
  }
  return false;
}
