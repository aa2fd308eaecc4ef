import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import { observeUsedMib, release } from "./device-ledger.ts";
import { advanceJob, endJob, jobHasEnded, openJob } from "./job-history.ts";
import { advanceLoads } from "./residency-loading.ts";
import { afterLoss, withAwaited, withoutAwaited } from "./restarts.ts";
import {
  findInstance,
  type EventOf,
  type Residency,
  type ResidencyEffect,
  type ResidencyStep,
  type Resident,
} from "./residency-state.ts";
import { rememberFailure } from "./load-failures.ts";
import {
  failBeforeStart,
  stopWorker,
  takesNoModels,
  unchanged,
  withoutResident,
  withRemains,
  withResident,
} from "./residency-steps.ts";
import { callOffEviction } from "./residency-swapping.ts";
import { describeExit, exitDetails, type WorkerExit } from "./worker-exit.ts";

/** Opens an unload, or joins the one that runs. The generation was checked by the caller. */
export function onUnloadRequested(start: Residency, event: EventOf<"unload-requested">): ResidencyStep {
  if (event.reload) return onReloadRequested(start, event);
  const state = { ...start, restarts: withoutAwaited(start.restarts, event.modelId) };
  const present = state.models.get(event.modelId);
  if (present === undefined) return { ...unchanged(state), answer: { kind: "nothing-to-do" } };
  return openUnload(state, { ...present, returns: false }, event);
}

/** Only what serves is loaded anew: what comes is fresh, and what goes has others that wait for its memory. */
function onReloadRequested(state: Residency, event: EventOf<"unload-requested">): ResidencyStep {
  const resident = state.models.get(event.modelId);
  if (state.mode !== "open") {
    const failure = takesNoModels();
    return { ...unchanged(state), answer: { kind: "refused", failure } };
  }
  if (resident?.phase.name !== "loaded") return { ...unchanged(state), answer: { kind: "nothing-to-do" } };
  return openUnload(state, { ...resident, returns: true }, event);
}

function openUnload(start: Residency, resident: Resident, event: EventOf<"unload-requested">): ResidencyStep {
  const state = withResident(start, resident);
  const joined = unloadJobOf(resident);
  if (joined !== null) {
    const hurried =
      event.force && resident.phase.name === "draining"
        ? stopWorker(state, resident, { unloadJobId: joined, loadFailure: null })
        : unchanged(state);
    return { ...hurried, answer: { kind: "job", jobId: joined } };
  }
  const opened: Residency = {
    ...state,
    jobs: openJob(state.jobs, {
      id: event.jobId,
      kind: "unload",
      model_id: event.modelId,
      state: "queued",
      created_at_ms: event.atMs,
    }),
  };
  return { ...beginUnload(opened, resident, event), answer: { kind: "job", jobId: event.jobId } };
}

const unloadJobOf = (resident: Resident): string | null =>
  resident.phase.name === "draining" || resident.phase.name === "stopping"
    ? resident.phase.unloadJobId
    : null;

function beginUnload(
  state: Residency,
  resident: Resident,
  event: EventOf<"unload-requested">,
): ResidencyStep {
  switch (resident.phase.name) {
    case "loaded":
      return event.force || resident.openRequests === 0
        ? stopWorker(state, resident, { unloadJobId: event.jobId, loadFailure: null })
        : beginDrain(state, resident, { unloadJobId: event.jobId, timeoutMs: event.drainTimeoutMs });
    case "draining":
    case "stopping":
      return joinDeparture(state, { ...resident, phase: resident.phase }, event);
    case "verifying":
    case "evicting":
    case "verified":
    case "reserved":
    case "loading":
    case "arrived": {
      const failure = new CortexError(
        "job_cancelled",
        `the load of ${event.modelId} was cancelled by an unload`,
      );
      return cancelLoad(state, resident, { failure, atMs: event.atMs, unloadJobId: event.jobId });
    }
    default:
      return assertNever(resident.phase);
  }
}

/** On its way out without a job (a shutdown, a swap, a failed load): the unload is done when the process is gone. */
function joinDeparture(
  state: Residency,
  resident: Resident & { readonly phase: { readonly name: "draining" | "stopping" } },
  { jobId, force }: EventOf<"unload-requested">,
): ResidencyStep {
  const { phase } = resident;
  if (phase.name === "draining" && (force || resident.openRequests === 0)) {
    return stopWorker(state, resident, { unloadJobId: jobId, loadFailure: null });
  }
  return unchanged({
    ...withResident(state, { ...resident, phase: { ...phase, unloadJobId: jobId } }),
    jobs: advanceJob(state.jobs, jobId, { state: phase.name }),
  });
}

export function beginDrain(
  state: Residency,
  resident: Resident,
  drain: { readonly unloadJobId: string | null; readonly timeoutMs: number },
): ResidencyStep {
  const { unloadJobId, timeoutMs } = drain;
  return {
    state: {
      ...withResident(state, { ...resident, phase: { name: "draining", unloadJobId, givesWayTo: null } }),
      jobs: unloadJobId === null ? state.jobs : advanceJob(state.jobs, unloadJobId, { state: "draining" }),
    },
    effects: [{ kind: "start-drain-timer", instance: resident.instance, timeoutMs }],
    answer: null,
  };
}

interface LoadCancellation {
  readonly failure: CortexError;
  readonly atMs: number;
  /** The unload that is done once the load is gone. */
  readonly unloadJobId: string | null;
}

/** Ends a load at whatever step it is; with a process, when that process is gone. */
export function cancelLoad(
  state: Residency,
  resident: Resident,
  cancellation: LoadCancellation,
): ResidencyStep {
  const { failure, unloadJobId, atMs } = cancellation;
  if (resident.phase.name === "loading" || resident.phase.name === "arrived") {
    return stopWorker(state, resident, { unloadJobId, loadFailure: failure });
  }
  const abandoned: readonly ResidencyEffect[] =
    resident.phase.name === "verifying"
      ? [{ kind: "abandon-verification", instance: resident.instance }]
      : [];
  const failed = failBeforeStart(state, resident, cancellation);
  const jobs =
    unloadJobId === null
      ? failed.state.jobs
      : endJob(failed.state.jobs, unloadJobId, { atMs, failure: null });
  const ledger = release(failed.state.ledger, resident.spec.model_id);
  const step = advanceLoads({ ...failed.state, jobs, ledger }, atMs);
  return { ...step, effects: [...abandoned, ...failed.effects, ...step.effects] };
}

/** `DELETE /jobs/{id}`: a load ends as cancelled, a drain is called off, a process that is stopping is too late. */
export function onJobCancelRequested(
  state: Residency,
  event: EventOf<"job-cancel-requested">,
): ResidencyStep {
  const job = state.jobs.get(event.jobId);
  if (job === undefined) {
    const failure = new CortexError("job_not_found", `there is no job ${event.jobId}`);
    return { ...unchanged(state), answer: { kind: "refused", failure } };
  }
  const answer = { kind: "job", jobId: event.jobId } as const;
  const resident = state.models.get(job.model_id);
  const isOver = jobHasEnded(job) || resident === undefined;
  if (isOver || (event.unlessJoined && resident.isJoined)) return { ...unchanged(state), answer };
  const failure = new CortexError("job_cancelled", `the ${job.kind} of ${job.model_id} was cancelled`);
  if (resident.phase.name === "stopping") {
    if (resident.phase.loadFailure !== null && job.kind === "load") return { ...unchanged(state), answer };
    const tooLate = new CortexError("model_busy", `${job.model_id} is already being stopped`, {
      next: "wait for the job to end, then load the model again if it is still wanted",
    });
    return { ...unchanged(state), answer: { kind: "refused", failure: tooLate } };
  }
  if (resident.phase.name === "draining") {
    return { ...callOffDrain(state, resident, { failure, atMs: event.atMs }), answer };
  }
  return { ...cancelLoad(state, resident, { failure, atMs: event.atMs, unloadJobId: null }), answer };
}

function callOffDrain(
  state: Residency,
  resident: Resident,
  end: { readonly failure: CortexError; readonly atMs: number },
): ResidencyStep {
  const jobId = unloadJobOf(resident);
  const { phase } = resident;
  // Who gives way to a load goes on doing so: only the unload beside it is off.
  const givesWayTo = phase.name === "draining" ? phase.givesWayTo : null;
  return unchanged({
    ...withResident(state, {
      ...resident,
      returns: false,
      phase: givesWayTo === null ? { name: "loaded" } : { name: "draining", unloadJobId: null, givesWayTo },
    }),
    jobs: jobId === null ? state.jobs : endJob(state.jobs, jobId, end),
  });
}

/** In-flight work is never cut without force: the model goes back to work. Only a shutdown does not wait longer. */
export function onDrainTimedOut(state: Residency, event: EventOf<"drain-timed-out">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident?.phase.name !== "draining") return unchanged(state);
  if (state.mode === "closing")
    return stopWorker(state, resident, { unloadJobId: resident.phase.unloadJobId, loadFailure: null });
  const { model_id: modelId } = resident.spec;
  const { givesWayTo } = resident.phase;
  if (givesWayTo !== null) {
    return callOffEviction(state, { givesWayTo, victim: resident, atMs: event.atMs });
  }
  const failure = new CortexError(
    "model_busy",
    `${modelId} still had ${resident.openRequests} requests in flight when the drain time was over`,
    { details: { in_flight: resident.openRequests } },
  );
  return callOffDrain(state, resident, { failure, atMs: event.atMs });
}

export function onRequestEnded(state: Residency, event: EventOf<"request-ended">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident === undefined || resident.openRequests === 0) return unchanged(state);
  const openRequests = resident.openRequests - 1;
  const updated: Resident = { ...resident, openRequests, lastUsedMs: event.atMs };
  if (updated.phase.name === "draining" && updated.phase.givesWayTo === null && openRequests === 0) {
    return stopWorker(state, updated, { unloadJobId: updated.phase.unloadJobId, loadFailure: null });
  }
  return unchanged(withResident(state, updated));
}

/** The process is gone: only now its memory is free again, whatever the reason was. */
export function onWorkerExited(state: Residency, event: EventOf<"worker-exited">): ResidencyStep {
  const resident = findInstance(state, event.instance);
  if (resident === undefined) return unchanged(state);
  const { atMs, exit } = event;
  const { model_id: modelId } = resident.spec;
  const loadJob = state.jobs.get(resident.instance);
  const loadWasRunning = loadJob !== undefined && !jobHasEnded(loadJob);
  const failure = withRemains(resident, loadFailure(resident, exit));
  let jobs = endJob(state.jobs, resident.instance, { atMs, failure });
  const unloadJobId = unloadJobOf(resident);
  if (unloadJobId !== null) jobs = endJob(jobs, unloadJobId, { atMs, failure: null });
  const gone: Residency = {
    ...withCycle(withoutResident(state, resident), resident),
    ledger: observeUsedMib(release(state.ledger, modelId), event.usedMib),
    jobs,
    failures: loadWasRunning
      ? rememberFailure(state.failures, resident.specHash, { failure, atMs })
      : state.failures,
  };
  const effects: ResidencyEffect[] = [];
  if (loadWasRunning) effects.push({ kind: "report-load-ended", jobId: resident.instance });
  if (resident.phase.name !== "stopping") {
    effects.push({ kind: "report-worker-lost", modelId, exit, openRequests: resident.openRequests });
  }
  const back = bringBack(gone, resident, atMs);
  effects.push(...back.effects);
  const step = advanceLoads(back.state, atMs);
  return { ...step, effects: [...effects, ...step.effects] };
}

/** Whoever stays on the devices has seen one more go; one that comes back counts for nobody, or they would never rest. */
function withCycle(state: Residency, { devices, returns }: Resident): Residency {
  if (returns) return state;
  const models = new Map(state.models);
  for (const [modelId, resident] of state.models) {
    const isBeside = resident.devices.some((index) => devices.includes(index));
    if (isBeside) models.set(modelId, { ...resident, cycles: resident.cycles + 1 });
  }
  return { ...state, models };
}

/**
 * A model that served comes back when its worker dies, and one that was unloaded for it; what else was on its way in or
 * out does not.
 */
function bringBack(state: Residency, resident: Resident, atMs: number): ResidencyStep {
  const isLost = resident.phase.name === "loaded";
  if ((!isLost && !resident.returns) || state.mode === "closing") return unchanged(state);
  const { instance, spec, origin, requestedAtMs } = resident;
  const awaited = { instance, spec, origin, requestedAtMs };
  const { restarts, delayMs } = isLost
    ? afterLoss(state.restarts, awaited, atMs)
    : { restarts: withAwaited(state.restarts, awaited, atMs), delayMs: 0 };
  if (delayMs === null) return givenUp({ ...state, restarts }, resident, atMs);
  const timer = { kind: "start-restart-timer", instance, request: { ...spec, origin }, delayMs } as const;
  return { ...unchanged({ ...state, restarts }), effects: [timer] };
}

/** Whoever asks for it is told why it is not here; the next try is theirs, or an operator's. */
function givenUp(state: Residency, { spec, specHash }: Resident, atMs: number): ResidencyStep {
  const failure = new CortexError(
    "worker_crashed",
    `the worker of ${spec.model_id} has died again and again, and is not started any more by itself`,
    { next: "see the neuron's log for its last words, mend the cause, then load it again: cortex apply" },
  );
  return unchanged({ ...state, failures: rememberFailure(state.failures, specHash, { failure, atMs }) });
}

function loadFailure(resident: Resident, exit: WorkerExit): CortexError {
  if (resident.phase.name === "stopping" && resident.phase.loadFailure !== null) {
    const { loadFailure: failure } = resident.phase;
    return failure.code === "job_cancelled" || failure.code === "draining"
      ? failure
      : withLastWords(failure, exit);
  }
  return new CortexError(
    "load_failed",
    `the worker of ${resident.spec.model_id} ${describeExit(exit)} while it loaded`,
    {
      details: exitDetails(exit),
    },
  );
}

const withLastWords = (failure: CortexError, exit: WorkerExit): CortexError =>
  new CortexError(failure.code, failure.message, {
    details: { ...failure.details, last_log_lines: exit.lastLogLines },
    next: failure.next,
    ...(failure.param === undefined ? {} : { param: failure.param }),
    ...(failure.isFinal ? { retryAfterSecs: null } : {}),
    cause: failure,
  });
