import { CortexError } from "../../core/errors.ts";
import { withoutWaiter, inOrder } from "./fair-queue.ts";
import { keepFor } from "./load-news.ts";
import type {
  ModelQueue,
  Scheduler,
  SchedulerEffect,
  SchedulerStep,
  Waiter,
  WaitOutcome,
} from "./scheduler-state.ts";

export function withQueue(state: Scheduler, modelId: string, queue: ModelQueue): Scheduler {
  const queues = new Map(state.queues);
  if (queue.waiters.length === 0) queues.delete(modelId);
  else queues.set(modelId, queue);
  return { ...state, queues };
}

/** Lets a waiter go without a place; one that is not there any more has been let go before. */
export function releaseWaiter(
  state: Scheduler,
  { waiterId, modelId }: { readonly waiterId: string; readonly modelId: string },
  outcome: WaitOutcome,
): SchedulerStep {
  const queue = state.queues.get(modelId);
  if (queue?.waiters.some(({ id }) => id === waiterId) !== true) return { state, effects: [] };
  return {
    state: withQueue(state, modelId, withoutWaiter(queue, waiterId)),
    effects: [{ kind: "release-waiter", waiterId, outcome }],
  };
}

/** Lets all who wait for a model go with the same words. */
export function releaseAll(state: Scheduler, modelId: string, outcome: WaitOutcome): SchedulerStep {
  const queues = new Map(state.queues);
  queues.delete(modelId);
  const waiters = state.queues.get(modelId)?.waiters ?? [];
  const effects = waiters.map(({ id }): SchedulerEffect => ({
    kind: "release-waiter",
    waiterId: id,
    outcome,
  }));
  return { state: { ...state, queues }, effects };
}

export function expireWaiters(start: Scheduler, atMs: number): SchedulerStep {
  let state = start;
  const effects: SchedulerEffect[] = [];
  for (const [modelId, queue] of start.queues) {
    for (const waiter of queue.waiters) {
      if (waiter.deadlineAtMs > atMs) continue;
      const error = waitedTooLong(start, { modelId, queue, waiter, atMs });
      // The client was told to come back: what it comes back for must go on until then.
      const returnsAtMs = atMs + (error.retryAfterSecs ?? 0) * 1000 + state.policy.lingerMs;
      const step = releaseWaiter(
        keepFor(state, modelId, returnsAtMs),
        { waiterId: waiter.id, modelId },
        {
          kind: "refused",
          error,
        },
      );
      ({ state } = step);
      effects.push(...step.effects);
    }
  }
  return { state, effects };
}

interface LateWaiter {
  readonly modelId: string;
  readonly queue: ModelQueue;
  readonly waiter: Waiter;
  readonly atMs: number;
}

function waitedTooLong(state: Scheduler, { modelId, queue, waiter, atMs }: LateWaiter): CortexError {
  const load = state.loads.get(modelId);
  const position = inOrder(queue).findIndex(({ id }) => id === waiter.id) + 1;
  const place = `place ${position} of ${queue.waiters.length} in its queue`;
  const details = { model_id: modelId, position, waiting: queue.waiters.length };
  const waitedSecs = Math.round((atMs - waiter.arrivedAtMs) / 1000);
  if (load === undefined) {
    const message = `${modelId} had no place for this request within ${waitedSecs} s (${place})`;
    return new CortexError("queue_full", message, { details, retryAfterSecs: 5 });
  }
  const loadingSecs = Math.round((atMs - load.startedAtMs) / 1000);
  return new CortexError(
    "load_timeout",
    `${modelId} has been loading on ${load.neuron} for ${loadingSecs} s, longer than this request may wait (${place})`,
    { details, ...retryAfter(remainingLoadMs(state, modelId, atMs)) },
  );
}

export function queueFull(state: Scheduler, modelId: string, atMs: number): CortexError {
  const waiting = state.queues.get(modelId)?.waiters.length ?? 0;
  return new CortexError("queue_full", `${waiting} requests wait for ${modelId} already, and no more may`, {
    details: { model_id: modelId, waiting },
    ...retryAfter(remainingLoadMs(state, modelId, atMs)),
  });
}

/** Undefined where nothing was measured, or where the load already takes longer than it ever did. */
function remainingLoadMs(state: Scheduler, modelId: string, atMs: number): number | undefined {
  const measuredMs = state.view.measuredLoadMs.get(modelId);
  const load = state.loads.get(modelId);
  if (measuredMs === undefined) return undefined;
  const leftMs = measuredMs - (load === undefined ? 0 : atMs - load.startedAtMs);
  return leftMs <= 0 ? undefined : leftMs;
}

const retryAfter = (waitMs: number | undefined): { readonly retryAfterSecs?: number } =>
  waitMs === undefined ? {} : { retryAfterSecs: Math.ceil(waitMs / 1000) };
