import type { Logger } from "../../../platform/logger.ts";
import {
  initialColdLoadState,
  reduceColdLoad,
  type ColdLoadEffect,
  type ColdLoadEvent,
  type LoadOutcome,
  type ModelInLoad,
  type WaitOutcome,
} from "../cold-load.ts";
import { sleptThrough, withinGrace } from "../../../core/interruptible-sleep.ts";
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
  /** Resolves when the waiter is released; never rejects. */
  wait(request: LoadWait): Promise<WaitOutcome>;
  load(modelId: string): ModelInLoad | undefined;
  loads(): Iterable<ModelInLoad>;
  /** Stops watching; what has no waiter any more has been cancelled, the rest goes on at its neuron. */
  close(): Promise<void>;
}

/** How long close() waits for neurons to take note of loads that nobody wants any more. */
const LAST_CANCELLATIONS_MS = 1000;

type CancelEffect = Extract<ColdLoadEffect, { kind: "cancel-load" }>;

interface RunningTask {
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

/** Begins nothing: loads begin with the requests that wait for them. */
export const createColdLoads = (deps: ColdLoadDeps): ColdLoads => new ColdLoadLoop(deps);

/** The loop around the reducer of `cold-load.ts`: one event at a time, effects run and report back as events. */
class ColdLoadLoop implements ColdLoads {
  readonly #deps: ColdLoadDeps;
  #state = initialColdLoadState;
  #lastWaiter = 0;
  readonly #waiters = new Map<string, (outcome: WaitOutcome) => void>();
  /** By attempt. */
  readonly #tasks = new Map<number, RunningTask>();
  readonly #cancellations = new Set<Promise<void>>();
  readonly #closed = new AbortController();

  constructor(deps: ColdLoadDeps) {
    this.#deps = deps;
  }

  load(modelId: string): ModelInLoad | undefined {
    return this.#state.loads.get(modelId);
  }

  loads(): Iterable<ModelInLoad> {
    return this.#state.loads.values();
  }

  async wait(request: LoadWait): Promise<WaitOutcome> {
    const { modelId, neuron, mode, signal } = request;
    if (signal.aborted) return { kind: "cancelled" };
    const { clock, fleet, maxWaitersPerModel: maxWaiters } = this.#deps;
    this.#lastWaiter += 1;
    const waiterId = String(this.#lastWaiter);
    const timer = new AbortController();
    const { promise, resolve } = Promise.withResolvers<WaitOutcome>();
    const onAbort = () => {
      this.#dispatch({ kind: "waiter-left", waiterId, modelId });
    };
    this.#waiters.set(waiterId, resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    void this.#watchDeadline({ waiterId, request, signal: timer.signal });
    const declared = (fleet.modelsById.get(modelId)?.replicas ?? 0) > 0;
    const measuredLoadMs = this.#measuredLoadMs(modelId);
    const arrival = { waiterId, modelId, neuron, mode, declared, maxWaiters, measuredLoadMs };
    this.#dispatch({ kind: "waiter-arrived", ...arrival, atMs: clock.monotonicMs() });
    try {
      return await promise;
    } finally {
      this.#waiters.delete(waiterId);
      timer.abort();
      signal.removeEventListener("abort", onAbort);
    }
  }

  async close(): Promise<void> {
    await withinGrace(this.#cancelUnwanted(), { clock: this.#deps.clock, graceMs: LAST_CANCELLATIONS_MS });
    for (const task of this.#tasks.values()) task.controller.abort();
    this.#closed.abort(new Error("the gateway stops"));
  }

  #dispatch(event: ColdLoadEvent): void {
    const step = reduceColdLoad(this.#state, event);
    this.#state = step.state;
    for (const effect of step.effects) this.#run(effect);
  }

  #run(effect: ColdLoadEffect): void {
    switch (effect.kind) {
      case "release-waiter":
        this.#waiters.get(effect.waiterId)?.(effect.outcome);
        return;
      case "start-load":
      case "watch-load": {
        const controller = new AbortController();
        const ended = this.#runTask(effect, controller.signal);
        this.#tasks.set(effect.attempt, { controller, ended });
        return;
      }
      case "stop-watch":
        this.#tasks.get(effect.attempt)?.controller.abort();
        return;
      case "cancel-load": {
        this.#tasks.get(effect.attempt)?.controller.abort();
        const cancellation = cancelLoad(this.#deps, effect, this.#closed.signal);
        this.#cancellations.add(cancellation);
        void cancellation.then(() => this.#cancellations.delete(cancellation));
      }
    }
  }

  async #runTask(effect: LoadTaskEffect, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const startedAtMs = clock.monotonicMs();
    const dispatch = (event: ColdLoadEvent) => {
      this.#dispatch(event);
    };
    const follow = effect.kind === "start-load" ? followOwnLoad : watchForeignLoad;
    const outcome = await follow({ deps: this.#deps, effect, signal, dispatch });
    this.#tasks.delete(effect.attempt);
    // Others' loads are theirs to count.
    if (effect.kind === "start-load") {
      reportEnd(this.#deps, effect, { outcome, durationMs: clock.monotonicMs() - startedAtMs });
    }
    const { modelId, attempt } = effect;
    if (outcome !== null) this.#dispatch({ kind: "load-ended", modelId, attempt, outcome });
  }

  async #watchDeadline(waiter: {
    readonly waiterId: string;
    readonly request: LoadWait;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { waiterId, request, signal } = waiter;
    const { clock } = this.#deps;
    if (!(await sleptThrough(clock, request.patienceMs, signal))) return;
    const { modelId } = request;
    const measuredLoadMs = this.#measuredLoadMs(modelId);
    const atMs = clock.monotonicMs();
    this.#dispatch({ kind: "deadline-passed", waiterId, modelId, measuredLoadMs, atMs });
  }

  #measuredLoadMs(modelId: string): number | undefined {
    return this.#deps.poller.view().measuredLoadMs.get(modelId);
  }

  /** A load that its neuron has not accepted yet can only be cancelled once it has. */
  async #cancelUnwanted(): Promise<void> {
    for (const load of this.#state.loads.values()) {
      if (load.waiters.size === 0 && load.goesOnAlone === false) await this.#tasks.get(load.attempt)?.ended;
    }
    await Promise.allSettled(this.#cancellations);
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
