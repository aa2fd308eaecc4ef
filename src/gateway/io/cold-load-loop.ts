import type { Logger } from "../../platform/logger.ts";
import {
  initialColdLoadState,
  reduceColdLoad,
  type ColdLoadEffect,
  type ColdLoadEvent,
  type LoadOutcome,
  type ModelInLoad,
  type WaitSettlement,
} from "../cold-load.ts";
import { sleptThrough, withinGrace } from "./interruptible-sleep.ts";
import { followOwnLoad, watchForeignLoad, type LoadTaskDeps, type LoadTaskEffect } from "./load-task.ts";

export interface ColdLoadDeps extends LoadTaskDeps {
  readonly logger: Logger;
  readonly maxWaitersPerModel: number;
  readonly onLoadEnded: (load: EndedLoad) => void;
}

export interface EndedLoad {
  readonly modelId: string;
  readonly neuron: string;
  readonly outcome: "loaded" | "failed" | "vanished" | "unreachable" | "cancelled";
  readonly durationMs: number;
}

export interface LoadWait {
  readonly modelId: string;
  readonly neuron: string;
  /** `watch`: the load is somebody else's. */
  readonly mode: "load" | "watch";
  /** How long this waiter may wait. */
  readonly patienceMs: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

export interface ColdLoads {
  /** Settles exactly once, and never rejects. */
  wait(request: LoadWait): Promise<WaitSettlement>;
  load(modelId: string): ModelInLoad | undefined;
  loads(): Iterable<ModelInLoad>;
  /** Stops watching; what has no waiter any more has been cancelled, the rest goes on at its neuron. */
  close(): Promise<void>;
}

/** How long close() waits for neurons to take note of loads that nobody wants any more. */
const LAST_CANCELLATIONS_MS = 1000;

type CancelEffect = Extract<ColdLoadEffect, { kind: "cancel_load" }>;

/** The loop around the reducer of `cold-load.ts`: one event at a time, effects run and report back as events. */
export function startColdLoads(deps: ColdLoadDeps): ColdLoads {
  let state = initialColdLoadState;
  const waiters = new Map<string, (settlement: WaitSettlement) => void>();
  let lastWaiter = 0;
  const tasks = new Map<number, { readonly controller: AbortController; readonly ended: Promise<void> }>();
  const cancellations = new Set<Promise<void>>();
  const closed = new AbortController();

  const dispatch = (event: ColdLoadEvent): void => {
    const step = reduceColdLoad(state, event);
    state = step.state;
    for (const effect of step.effects) run(effect);
  };
  const run = (effect: ColdLoadEffect): void => {
    switch (effect.kind) {
      case "settle_waiter":
        waiters.get(effect.waiterId)?.(effect.settlement);
        return;
      case "start_load":
      case "watch_load":
        startTask(effect);
        return;
      case "stop_watch":
        tasks.get(effect.attempt)?.controller.abort();
        return;
      case "cancel_load": {
        tasks.get(effect.attempt)?.controller.abort();
        const cancellation = cancelLoad(deps, effect, closed.signal);
        cancellations.add(cancellation);
        void cancellation.then(() => cancellations.delete(cancellation));
      }
    }
  };
  const startTask = (effect: LoadTaskEffect): void => {
    const controller = new AbortController();
    tasks.set(effect.attempt, { controller, ended: runTask(effect, controller.signal) });
  };
  const runTask = async (effect: LoadTaskEffect, signal: AbortSignal): Promise<void> => {
    const startedAtMs = deps.clock.monotonicMs();
    const follow = effect.kind === "start_load" ? followOwnLoad : watchForeignLoad;
    const outcome = await follow({ deps, effect, signal, dispatch });
    tasks.delete(effect.attempt);
    // Others' loads are theirs to count.
    if (effect.kind === "start_load") {
      reportEnd(deps, effect, { outcome, durationMs: deps.clock.monotonicMs() - startedAtMs });
    }
    const { modelId, attempt } = effect;
    if (outcome !== null) dispatch({ kind: "load_ended", modelId, attempt, outcome });
  };

  // A load that its neuron has not accepted yet can only be cancelled once it has.
  const cancelUnwanted = async (): Promise<void> => {
    const unwanted = [...state.loads.values()].filter((load) => load.waiters.size === 0 && !load.declared);
    await Promise.allSettled(unwanted.map((load) => tasks.get(load.attempt)?.ended));
    await Promise.allSettled(cancellations);
  };

  return {
    wait: (request) => {
      lastWaiter += 1;
      return waitForLoad({ deps, request, waiterId: String(lastWaiter), waiters, dispatch });
    },
    load: (modelId) => state.loads.get(modelId),
    loads: () => state.loads.values(),
    close: async () => {
      await withinGrace(cancelUnwanted(), { clock: deps.clock, graceMs: LAST_CANCELLATIONS_MS });
      for (const task of tasks.values()) task.controller.abort();
      closed.abort(new Error("the gateway stops"));
    },
  };
}

interface WaitContext {
  readonly deps: ColdLoadDeps;
  readonly request: LoadWait;
  readonly waiterId: string;
  readonly waiters: Map<string, (settlement: WaitSettlement) => void>;
  readonly dispatch: (event: ColdLoadEvent) => void;
}

async function waitForLoad(context: WaitContext): Promise<WaitSettlement> {
  const { deps, request, waiterId, waiters, dispatch } = context;
  const { modelId, neuron, mode, signal } = request;
  if (signal.aborted) return { kind: "cancelled" };
  const measured = () => deps.poller.view().measuredLoadMs.get(modelId);
  const timer = new AbortController();
  const { promise, resolve } = Promise.withResolvers<WaitSettlement>();
  const onAbort = () => {
    dispatch({ kind: "waiter_left", waiterId, modelId });
  };
  waiters.set(waiterId, resolve);
  signal.addEventListener("abort", onAbort, { once: true });
  const watchDeadline = async () => {
    if (!(await sleptThrough(deps.clock, request.patienceMs, timer.signal))) return;
    const atMs = deps.clock.monotonicMs();
    dispatch({ kind: "waiter_deadline_passed", waiterId, modelId, measuredLoadMs: measured(), atMs });
  };
  void watchDeadline();
  dispatch({
    kind: "waiter_arrived",
    waiterId,
    modelId,
    neuron,
    mode,
    declared: (deps.fleet.modelsById.get(modelId)?.replicas ?? 0) > 0,
    maxWaiters: deps.maxWaitersPerModel,
    measuredLoadMs: measured(),
    atMs: deps.clock.monotonicMs(),
  });
  try {
    return await promise;
  } finally {
    waiters.delete(waiterId);
    timer.abort();
    signal.removeEventListener("abort", onAbort);
  }
}

async function cancelLoad(deps: ColdLoadDeps, effect: CancelEffect, signal: AbortSignal): Promise<void> {
  const { modelId, neuron, jobId } = effect;
  deps.logger.info({ model: modelId, neuron, job: jobId }, "load cancelled: nobody waits for it any more");
  try {
    await deps.neurons.get(neuron)?.cancelJob(jobId, signal);
  } catch (thrown) {
    deps.logger.warn({ model: modelId, neuron, job: jobId, err: thrown }, "load could not be cancelled");
  }
  await deps.poller.refresh(neuron);
}

function reportEnd(
  deps: ColdLoadDeps,
  effect: LoadTaskEffect,
  end: { readonly outcome: LoadOutcome | null; readonly durationMs: number },
): void {
  const { modelId, neuron } = effect;
  const { durationMs } = end;
  const outcome = end.outcome?.kind ?? "cancelled";
  deps.onLoadEnded({ modelId, neuron, outcome, durationMs });
  const fields = { model: modelId, neuron, outcome, duration_ms: Math.round(durationMs) };
  if (end.outcome?.kind === "failed") {
    const { code, message } = end.outcome.error;
    deps.logger.warn({ ...fields, code, reason: message }, "cold load failed");
    return;
  }
  deps.logger.info(fields, "cold load ended");
}
