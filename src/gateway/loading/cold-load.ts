import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import type { JobState } from "../../protocol/neuron-api.ts";

/**
 * Single-flight loads, as a reducer. One load per model is in progress, however many requests wait for it. A load
 * belongs to nobody: a request that leaves only takes itself away. When the last one has left, a load that this
 * gateway began for them is cancelled, unless the model is declared resident; a load that somebody else began is
 * only watched, never cancelled.
 *
 * The law that the property test holds it to: every waiter that arrives is settled exactly once, as granted,
 * refused, told to decide again, or cancelled because it left.
 *
 * `attempt` numbers loads over all models. News of an attempt that is not the current one of its model is stale and
 * changes nothing: the task behind it may still be finishing when the next load of that model has begun.
 */
export interface ColdLoadState {
  readonly loads: ReadonlyMap<string, ModelInLoad>;
  readonly nextAttempt: number;
}

export interface ModelInLoad {
  readonly modelId: string;
  readonly neuron: string;
  readonly attempt: number;
  /** False: somebody else's load, watched until it ends. */
  readonly ours: boolean;
  /** Goes on without waiters, because the fleet files declare the model resident. */
  readonly declared: boolean;
  /** Null until the neuron has accepted the load. */
  readonly jobId: string | null;
  readonly jobState: JobState | null;
  readonly progress: number | null;
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  readonly waiters: ReadonlySet<string>;
}

export type WaitSettlement =
  | { readonly kind: "granted"; readonly neuron: string }
  | { readonly kind: "refused"; readonly error: CortexError }
  /** The load ended without an answer to the question; `unreachable` names a neuron to leave out next time. */
  | { readonly kind: "decide_again"; readonly unreachable: string | null }
  | { readonly kind: "cancelled" };

export type LoadOutcome =
  | { readonly kind: "loaded" }
  | { readonly kind: "failed"; readonly error: CortexError }
  /** Ended by somebody else, or no longer known to the neuron. */
  | { readonly kind: "vanished" }
  | { readonly kind: "unreachable" };

export type ColdLoadEvent =
  | {
      readonly kind: "waiter_arrived";
      readonly waiterId: string;
      readonly modelId: string;
      readonly neuron: string;
      readonly mode: "load" | "watch";
      readonly declared: boolean;
      readonly maxWaiters: number;
      readonly measuredLoadMs: number | undefined;
      readonly atMs: number;
    }
  | { readonly kind: "waiter_left"; readonly waiterId: string; readonly modelId: string }
  | {
      readonly kind: "waiter_deadline_passed";
      readonly waiterId: string;
      readonly modelId: string;
      readonly measuredLoadMs: number | undefined;
      readonly atMs: number;
    }
  | {
      readonly kind: "load_accepted";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  | {
      readonly kind: "load_progressed";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobState: JobState;
      readonly progress: number | null;
    }
  | {
      readonly kind: "load_ended";
      readonly modelId: string;
      readonly attempt: number;
      readonly outcome: LoadOutcome;
    };

export type ColdLoadEffect =
  | {
      readonly kind: "start_load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
    }
  | {
      readonly kind: "watch_load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
    }
  | {
      readonly kind: "cancel_load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  | { readonly kind: "stop_watch"; readonly attempt: number }
  | { readonly kind: "settle_waiter"; readonly waiterId: string; readonly settlement: WaitSettlement };

export interface ColdLoadStep {
  readonly state: ColdLoadState;
  readonly effects: readonly ColdLoadEffect[];
}

export const initialColdLoadState: ColdLoadState = { loads: new Map(), nextAttempt: 1 };

export function reduceColdLoad(state: ColdLoadState, event: ColdLoadEvent): ColdLoadStep {
  switch (event.kind) {
    case "waiter_arrived":
      return onArrival(state, event);
    case "waiter_left":
      return withoutWaiter(state, event, { kind: "cancelled" });
    case "waiter_deadline_passed":
      return onDeadline(state, event);
    case "load_accepted":
    case "load_progressed":
    case "load_ended":
      return onNews(state, event);
    default:
      return assertNever(event);
  }
}

type Arrival = Extract<ColdLoadEvent, { kind: "waiter_arrived" }>;

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
    return { state, effects: [settle(event.waiterId, { kind: "refused", error })] };
  }
  if (current !== undefined) {
    const waiters = new Set(current.waiters).add(event.waiterId);
    return {
      state: withLoad(state, { ...current, waiters, declared: current.declared || event.declared }),
      effects: [],
    };
  }
  const load: ModelInLoad = {
    modelId: event.modelId,
    neuron: event.neuron,
    attempt: state.nextAttempt,
    ours: event.mode === "load",
    declared: event.declared,
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
        kind: event.mode === "load" ? "start_load" : "watch_load",
        modelId: event.modelId,
        neuron: event.neuron,
        attempt: load.attempt,
      },
    ],
  };
}

function onDeadline(
  state: ColdLoadState,
  event: Extract<ColdLoadEvent, { kind: "waiter_deadline_passed" }>,
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
  const kept = withLoad(state, { ...load, declared: true });
  return withoutWaiter(kept, event, { kind: "refused", error });
}

function withoutWaiter(
  state: ColdLoadState,
  event: { readonly waiterId: string; readonly modelId: string },
  settlement: WaitSettlement,
): ColdLoadStep {
  const load = state.loads.get(event.modelId);
  if (load === undefined || !load.waiters.has(event.waiterId)) return { state, effects: [] };
  const waiters = new Set(load.waiters);
  waiters.delete(event.waiterId);
  const next = { ...load, waiters };
  const settled = settle(event.waiterId, settlement);
  if (waiters.size > 0 || next.declared) return { state: withLoad(state, next), effects: [settled] };
  if (!next.ours) {
    const stop: ColdLoadEffect = { kind: "stop_watch", attempt: next.attempt };
    return { state: withoutLoad(state, next.modelId), effects: [settled, stop] };
  }
  // Not accepted yet: whether there is a job to cancel is known only when the neuron has answered.
  if (next.jobId === null) return { state: withLoad(state, next), effects: [settled] };
  return { state: withoutLoad(state, next.modelId), effects: [settled, cancel(next, next.jobId)] };
}

type LoadNews = Extract<ColdLoadEvent, { attempt: number }>;

function onNews(state: ColdLoadState, event: LoadNews): ColdLoadStep {
  const load = state.loads.get(event.modelId);
  if (load === undefined || load.attempt !== event.attempt) return { state, effects: [] };
  switch (event.kind) {
    case "load_accepted": {
      if (load.waiters.size === 0 && !load.declared) {
        return { state: withoutLoad(state, load.modelId), effects: [cancel(load, event.jobId)] };
      }
      return { state: withLoad(state, { ...load, jobId: event.jobId }), effects: [] };
    }
    case "load_progressed": {
      const next = { ...load, jobState: event.jobState, progress: event.progress };
      return { state: withLoad(state, next), effects: [] };
    }
    case "load_ended": {
      const settlement = settlementOf(event.outcome, load.neuron);
      const effects = [...load.waiters].map((waiterId) => settle(waiterId, settlement));
      return { state: withoutLoad(state, load.modelId), effects };
    }
    default:
      return assertNever(event);
  }
}

function settlementOf(outcome: LoadOutcome, neuron: string): WaitSettlement {
  switch (outcome.kind) {
    case "loaded":
      return { kind: "granted", neuron };
    case "failed":
      return { kind: "refused", error: outcome.error };
    case "vanished":
      return { kind: "decide_again", unreachable: null };
    case "unreachable":
      return { kind: "decide_again", unreachable: neuron };
    default:
      return assertNever(outcome);
  }
}

const settle = (waiterId: string, settlement: WaitSettlement): ColdLoadEffect => ({
  kind: "settle_waiter",
  waiterId,
  settlement,
});

const cancel = (load: ModelInLoad, jobId: string): ColdLoadEffect => ({
  kind: "cancel_load",
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
