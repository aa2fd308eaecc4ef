import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import type { JobState } from "../../protocol/neuron-api.ts";

/**
 * Single-flight loads, as a reducer. One load per model is in progress, however many requests wait for it. A load
 * belongs to nobody: a request that leaves only takes itself away. When the last one has left, a load that this
 * gateway began for them is cancelled, unless it goes on alone (`goesOnAlone`); a load that somebody else began is
 * only watched, never cancelled.
 *
 * The law that the property test holds it to: every waiter that arrives is released exactly once, as granted,
 * refused, told to decide again, or cancelled because it left.
 *
 * `attempt` numbers loads over all models. News of an attempt that is not the current one of its model is stale and
 * changes nothing: the task behind it may still be finishing when the next load of that model has begun.
 */
export interface ColdLoadState {
  readonly loads: ReadonlyMap<string, ModelInLoad>;
  readonly nextAttempt: number;
}

/**
 * Why a load goes on without waiters: the fleet files declare the model resident, or a client was told to come back
 * for it. False: it is cancelled when the last waiter leaves.
 */
export type GoesOnAlone = "declared" | "promised" | false;

export interface ModelInLoad {
  readonly modelId: string;
  readonly neuron: string;
  readonly attempt: number;
  /** False: somebody else's load, watched until it ends. */
  readonly ours: boolean;
  readonly goesOnAlone: GoesOnAlone;
  /** Null until the neuron has accepted the load. */
  readonly jobId: string | null;
  readonly jobState: JobState | null;
  readonly progress: number | null;
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  readonly waiters: ReadonlySet<string>;
}

/** What a waiter is told when it is released. */
export type WaitOutcome =
  /** The model is loaded: send the request to this neuron. */
  | { readonly kind: "granted"; readonly neuron: string }
  /** It will not be loaded, or not in time: answer with this error. */
  | { readonly kind: "refused"; readonly error: CortexError }
  /** The load ended without an answer to the question; `unreachable` names a neuron to leave out next time. */
  | { readonly kind: "decide-again"; readonly unreachable: string | null }
  /** The waiter itself left. */
  | { readonly kind: "cancelled" };

/** How a load ended. */
export type LoadOutcome =
  /** The model serves. */
  | { readonly kind: "loaded" }
  /** The neuron refused it, or could not do it. */
  | { readonly kind: "failed"; readonly error: CortexError }
  /** Ended by somebody else, or no longer known to the neuron. */
  | { readonly kind: "vanished" }
  /** The neuron does not answer any more. */
  | { readonly kind: "unreachable" };

export type ColdLoadEvent =
  /** A request needs the model: it joins the load in progress, or is the reason for one. */
  | {
      readonly kind: "waiter-arrived";
      readonly waiterId: string;
      readonly modelId: string;
      readonly neuron: string;
      readonly mode: "load" | "watch";
      /** The fleet files declare the model resident. */
      readonly declared: boolean;
      readonly maxWaiters: number;
      readonly measuredLoadMs: number | undefined;
      readonly atMs: number;
    }
  /** The client has gone, or the gateway stops. */
  | { readonly kind: "waiter-left"; readonly waiterId: string; readonly modelId: string }
  /** The waiter may wait no longer: it is told to come back, which is a promise that the load goes on. */
  | {
      readonly kind: "deadline-passed";
      readonly waiterId: string;
      readonly modelId: string;
      readonly measuredLoadMs: number | undefined;
      readonly atMs: number;
    }
  /** The neuron has taken the load on as a job; from now on it can be cancelled. */
  | {
      readonly kind: "load-accepted";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  /** The neuron has reported how far the job is. */
  | {
      readonly kind: "load-progressed";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobState: JobState;
      readonly progress: number | null;
    }
  /** The load is over, one way or another. */
  | {
      readonly kind: "load-ended";
      readonly modelId: string;
      readonly attempt: number;
      readonly outcome: LoadOutcome;
    };

export type ColdLoadEffect =
  /** Ask the neuron for the load and follow its job. */
  | {
      readonly kind: "start-load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
    }
  /** Look on while somebody else's load goes on. */
  | {
      readonly kind: "watch-load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
    }
  /** Tell the neuron that nobody wants its job any more. */
  | {
      readonly kind: "cancel-load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  /** Look on no longer. */
  | { readonly kind: "stop-watch"; readonly attempt: number }
  /** Let a waiter go, with what came of its wait. */
  | { readonly kind: "release-waiter"; readonly waiterId: string; readonly outcome: WaitOutcome };

export interface ColdLoadStep {
  readonly state: ColdLoadState;
  readonly effects: readonly ColdLoadEffect[];
}

export const initialColdLoadState: ColdLoadState = { loads: new Map(), nextAttempt: 1 };

export function reduceColdLoad(state: ColdLoadState, event: ColdLoadEvent): ColdLoadStep {
  switch (event.kind) {
    case "waiter-arrived":
      return onArrival(state, event);
    case "waiter-left":
      return withoutWaiter(state, event, { kind: "cancelled" });
    case "deadline-passed":
      return onDeadline(state, event);
    case "load-accepted":
    case "load-progressed":
    case "load-ended":
      return onNews(state, event);
    default:
      return assertNever(event);
  }
}

type Arrival = Extract<ColdLoadEvent, { kind: "waiter-arrived" }>;

function onArrival(state: ColdLoadState, event: Arrival): ColdLoadStep {
  const current = state.loads.get(event.modelId);
  if ((current?.waiters.size ?? 0) >= event.maxWaiters) {
    const error = new CortexError(
      "queue_full",
      `${event.modelId} is loading and ${event.maxWaiters} requests wait for it already`,
      {
        details: { model_id: event.modelId, waiting: event.maxWaiters },
        ...retryAfter(remainingMs(event.measuredLoadMs, event.atMs - (current?.startedAtMs ?? event.atMs))),
      },
    );
    return { state, effects: [release(event.waiterId, { kind: "refused", error })] };
  }
  if (current !== undefined) {
    const waiters = new Set(current.waiters).add(event.waiterId);
    return {
      state: withLoad(state, { ...current, waiters, goesOnAlone: current.goesOnAlone || declaredBy(event) }),
      effects: [],
    };
  }
  const load: ModelInLoad = {
    modelId: event.modelId,
    neuron: event.neuron,
    attempt: state.nextAttempt,
    ours: event.mode === "load",
    goesOnAlone: declaredBy(event),
    jobId: null,
    jobState: null,
    progress: null,
    startedAtMs: event.atMs,
    waiters: new Set([event.waiterId]),
  };
  return {
    state: { loads: new Map(state.loads).set(event.modelId, load), nextAttempt: state.nextAttempt + 1 },
    effects: [
      {
        kind: event.mode === "load" ? "start-load" : "watch-load",
        modelId: event.modelId,
        neuron: event.neuron,
        attempt: load.attempt,
      },
    ],
  };
}

const declaredBy = (event: Arrival): GoesOnAlone => event.declared && "declared";

function onDeadline(
  state: ColdLoadState,
  event: Extract<ColdLoadEvent, { kind: "deadline-passed" }>,
): ColdLoadStep {
  const load = state.loads.get(event.modelId);
  if (load === undefined) return { state, effects: [] };
  const waitedMs = event.atMs - load.startedAtMs;
  const error = new CortexError(
    "load_timeout",
    `${event.modelId} has been loading on ${load.neuron} for ${Math.round(waitedMs / 1000)} s, longer than this request may wait`,
    {
      details: { model_id: event.modelId },
      ...retryAfter(remainingMs(event.measuredLoadMs, waitedMs)),
    },
  );
  // The client was told to come back: what it comes back for must go on, waiters or not.
  const kept = withLoad(state, { ...load, goesOnAlone: load.goesOnAlone || "promised" });
  return withoutWaiter(kept, event, { kind: "refused", error });
}

function withoutWaiter(
  state: ColdLoadState,
  event: { readonly waiterId: string; readonly modelId: string },
  outcome: WaitOutcome,
): ColdLoadStep {
  const load = state.loads.get(event.modelId);
  if (load === undefined || !load.waiters.has(event.waiterId)) return { state, effects: [] };
  const waiters = new Set(load.waiters);
  waiters.delete(event.waiterId);
  const next = { ...load, waiters };
  const released = release(event.waiterId, outcome);
  if (waiters.size > 0 || next.goesOnAlone !== false)
    return { state: withLoad(state, next), effects: [released] };
  if (!next.ours) {
    const stop: ColdLoadEffect = { kind: "stop-watch", attempt: next.attempt };
    return { state: withoutLoad(state, next.modelId), effects: [released, stop] };
  }
  // Not accepted yet: whether there is a job to cancel is known only when the neuron has answered.
  if (next.jobId === null) return { state: withLoad(state, next), effects: [released] };
  return { state: withoutLoad(state, next.modelId), effects: [released, cancel(next, next.jobId)] };
}

type LoadNews = Extract<ColdLoadEvent, { attempt: number }>;

function onNews(state: ColdLoadState, event: LoadNews): ColdLoadStep {
  const load = state.loads.get(event.modelId);
  if (load === undefined || load.attempt !== event.attempt) return { state, effects: [] };
  switch (event.kind) {
    case "load-accepted": {
      if (load.waiters.size === 0 && load.goesOnAlone === false) {
        return { state: withoutLoad(state, load.modelId), effects: [cancel(load, event.jobId)] };
      }
      return { state: withLoad(state, { ...load, jobId: event.jobId }), effects: [] };
    }
    case "load-progressed": {
      const next = { ...load, jobState: event.jobState, progress: event.progress };
      return { state: withLoad(state, next), effects: [] };
    }
    case "load-ended": {
      const outcome = waitOutcomeOf(event.outcome, load.neuron);
      const effects = [...load.waiters].map((waiterId) => release(waiterId, outcome));
      return { state: withoutLoad(state, load.modelId), effects };
    }
    default:
      return assertNever(event);
  }
}

function waitOutcomeOf(outcome: LoadOutcome, neuron: string): WaitOutcome {
  switch (outcome.kind) {
    case "loaded":
      return { kind: "granted", neuron };
    case "failed":
      return { kind: "refused", error: outcome.error };
    case "vanished":
      return { kind: "decide-again", unreachable: null };
    case "unreachable":
      return { kind: "decide-again", unreachable: neuron };
    default:
      return assertNever(outcome);
  }
}

const release = (waiterId: string, outcome: WaitOutcome): ColdLoadEffect => ({
  kind: "release-waiter",
  waiterId,
  outcome,
});

const cancel = (load: ModelInLoad, jobId: string): ColdLoadEffect => ({
  kind: "cancel-load",
  modelId: load.modelId,
  neuron: load.neuron,
  attempt: load.attempt,
  jobId,
});

const withLoad = (state: ColdLoadState, load: ModelInLoad): ColdLoadState => ({
  ...state,
  loads: new Map(state.loads).set(load.modelId, load),
});

function withoutLoad(state: ColdLoadState, modelId: string): ColdLoadState {
  const loads = new Map(state.loads);
  loads.delete(modelId);
  return { ...state, loads };
}

const remainingMs = (measuredLoadMs: number | undefined, elapsedMs: number): number | undefined =>
  measuredLoadMs === undefined || measuredLoadMs <= elapsedMs ? undefined : measuredLoadMs - elapsedMs;

/** The table's figure stands where nothing was measured, or where the load already takes longer than it ever did. */
const retryAfter = (waitMs: number | undefined): { readonly retryAfterSecs?: number } =>
  waitMs === undefined ? {} : { retryAfterSecs: Math.ceil(waitMs / 1000) };
