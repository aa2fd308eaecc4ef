import type { PlaceAsked } from "../place-asked.ts";
import type { Logger } from "../../../platform/logger.ts";
import { sleptThrough, withinGrace } from "../../../core/interruptible-sleep.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { ResidentModel } from "../../../protocol/neuron-api.ts";
import type { Trust } from "../../routing/route-request.ts";
import { trustIn } from "../copy-standing.ts";
import { hasRoom, inFlightAt, speedOf } from "../copy-watch.ts";
import { inOrder } from "../fair-queue.ts";
import { leavesInMs } from "../load-upkeep.ts";
import { reduceScheduler } from "../scheduler.ts";
import {
  initialScheduler,
  type LoadOutcome,
  type PlaceEnd,
  type Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerPolicy,
  type WaitOutcome,
} from "../scheduler-state.ts";
import { LoadsSeen, type LoadSeen } from "../loads-seen.ts";
import { followLoad, type LoadTaskDeps, type LoadTaskEffect } from "./load-task.ts";

export interface SchedulingDeps extends Omit<LoadTaskDeps, "drainMs"> {
  readonly logger: Logger;
  readonly policy: SchedulerPolicy;
  readonly onLoadEnded: (load: EndedLoad) => void;
  /** Told of every copy that a neuron was asked to let go. */
  readonly onEvicted: (evicted: Evicted) => void;
  /** Told of each change of the state. */
  readonly onStep?: (() => void) | undefined;
}

export interface EndedLoad {
  readonly modelId: string;
  readonly neuron: string;
  readonly outcome: LoadOutcome["kind"] | "cancelled";
  readonly durationMs: number;
}

export interface Evicted {
  readonly modelId: string;
  readonly neuron: string;
  readonly reason: "swap" | "idle" | "recycle";
}

export interface PlaceRequest extends PlaceAsked {
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

/**
 * A request's place at a copy: `free` must be called when the request is over, with what it says about the copy if it
 * says anything; again is no harm.
 */
export interface Place {
  readonly neuron: string;
  free(end?: PlaceEnd): void;
}

export type PlaceOutcome =
  | { readonly kind: "granted"; readonly place: Place }
  | Exclude<WaitOutcome, { kind: "granted" }>;

/** Where a request stands that waits. */
export interface Standing {
  /** 1 is next. */
  readonly position: number;
  readonly waiting: number;
}

/** What requests need of it. */
export type RequestScheduling = Pick<
  Scheduling,
  "state" | "enter" | "wait" | "outstanding" | "trustIn" | "speedOf" | "loadsSince" | "wish"
>;

export interface Scheduling {
  readonly state: Scheduler;
  /** A place at once, where there is room and nobody waits. */
  enter(modelId: string, neuron: string): Place | null;
  /** A place that somebody who may do so has given away already. */
  taken(modelId: string, neuron: string): Place;
  /** Resolves when the waiter is released; never rejects. `onWaiting` gets a look at where it stands. */
  wait(request: PlaceRequest, onWaiting?: (look: () => Standing | undefined) => void): Promise<PlaceOutcome>;
  outstanding(neuron: string, modelId: string): number;
  outstandingAt(neuron: string): ReadonlyMap<string, number>;
  /** What is known of a copy's failures; null: nothing. */
  trustIn(neuron: string, modelId: string): Trust | null;
  /** Tokens a second of a copy's answers of late; null: not measured. */
  speedOf(neuron: string, modelId: string): number | null;
  /** Loads of the model that were under way at some time since then. */
  loadsSince(modelId: string, sinceMs: number): readonly LoadSeen[];
  /** How long a client wishes the model to stay; Infinity: as long as possible. */
  wish(modelId: string, keepMs: number): void;
  /** In how many milliseconds a copy goes if nobody uses it; null where no such time is known. */
  leavesInMs(neuron: string, model: ResidentModel): number | null;
  /** Puts what other fleet files say in force. */
  follow(policy: SchedulerPolicy): void;
  /** Begins to follow the view and the time. */
  start(): void;
  /** Ends both; loads go on at their neurons. */
  close(): Promise<void>;
}

/** How often time is looked at: waits, pauses and residencies are seconds. */
const TICK_MS = 200;
/** How long close() waits for neurons to take note of what nobody wants any more. */
const LAST_CALLS_MS = 1000;

const NOTHING_LEARNT: PlaceEnd = { outcome: null, tokensPerSec: null };

export const createScheduling = (deps: SchedulingDeps): Scheduling => new SchedulerLoop(deps);

/** The loop around the reducer of `scheduler.ts`: one event at a time, effects run and report back as events. */
class SchedulerLoop implements Scheduling {
  readonly #deps: SchedulingDeps;
  readonly #events: SchedulerEvent[] = [];
  readonly #waiters = new Map<string, (outcome: WaitOutcome) => void>();
  /** By attempt. */
  readonly #tasks = new Map<number, AbortController>();
  readonly #calls = new Set<Promise<void>>();
  readonly #loadsSeen = new LoadsSeen();
  readonly #closed = new AbortController();
  #state: Scheduler;
  #isRunning = false;
  #lastWaiter = 0;

  constructor(deps: SchedulingDeps) {
    this.#deps = deps;
    this.#state = initialScheduler(deps.policy, deps.fleet, deps.poller.view());
  }

  get state(): Scheduler {
    return this.#state;
  }

  start(): void {
    const { poller, clock } = this.#deps;
    poller.onChange((view) => {
      this.#dispatch({ kind: "view-changed", view, atMs: clock.monotonicMs() });
    });
    void this.#tick();
  }

  follow(policy: SchedulerPolicy): void {
    this.#dispatch({ kind: "policy-changed", policy, atMs: this.#nowMs() });
  }

  enter(modelId: string, neuron: string): Place | null {
    return hasRoom(this.#state, neuron, modelId) ? this.taken(modelId, neuron) : null;
  }

  taken(modelId: string, neuron: string): Place {
    this.#dispatch({ kind: "request-entered", modelId, neuron, atMs: this.#nowMs() });
    return this.#place(neuron, modelId);
  }

  async wait(
    request: PlaceRequest,
    onWaiting?: (look: () => Standing | undefined) => void,
  ): Promise<PlaceOutcome> {
    const { modelId, principal, affinity, avoid, excluded, patienceMs, signal } = request;
    if (signal.aborted) return { kind: "cancelled" };
    this.#lastWaiter += 1;
    const waiterId = String(this.#lastWaiter);
    const { promise, resolve } = Promise.withResolvers<WaitOutcome>();
    const onAbort = () => {
      this.#dispatch({ kind: "waiter-left", waiterId, modelId, atMs: this.#nowMs() });
    };
    this.#waiters.set(waiterId, resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    const atMs = this.#nowMs();
    const asked = { waiterId, modelId, principal, affinity, avoid, excluded };
    const waiter = { ...asked, deadlineAtMs: atMs + patienceMs };
    this.#dispatch({ kind: "waiter-arrived", ...waiter, atMs });
    onWaiting?.(() => this.#standing(modelId, waiterId));
    try {
      const outcome = await promise;
      if (outcome.kind !== "granted") return outcome;
      const place = this.#place(outcome.neuron, modelId);
      // Granted and gone in the same turn: nobody else would give the place back.
      if (!signal.aborted) return { kind: "granted", place };
      place.free();
      return { kind: "cancelled" };
    } finally {
      this.#waiters.delete(waiterId);
      signal.removeEventListener("abort", onAbort);
    }
  }

  wish(modelId: string, keepMs: number): void {
    this.#dispatch({ kind: "residency-wished", modelId, keepMs, atMs: this.#nowMs() });
  }

  leavesInMs(neuron: string, model: ResidentModel): number | null {
    return leavesInMs(this.#state, { neuron, model, atMs: this.#nowMs() });
  }

  outstanding(neuron: string, modelId: string): number {
    return inFlightAt(this.#state, neuron, modelId);
  }

  speedOf(neuron: string, modelId: string): number | null {
    return speedOf(this.#state, { neuron, modelId });
  }

  trustIn(neuron: string, modelId: string): Trust | null {
    return trustIn(this.#state, { neuron, modelId }, this.#nowMs());
  }

  outstandingAt(neuron: string): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    const prefix = `${neuron} `;
    for (const [key, count] of this.#state.inFlight) {
      if (key.startsWith(prefix)) counts.set(key.slice(prefix.length), count);
    }
    return counts;
  }

  loadsSince(modelId: string, sinceMs: number): readonly LoadSeen[] {
    return this.#loadsSeen.since(modelId, sinceMs);
  }

  async close(): Promise<void> {
    await withinGrace(Promise.allSettled(this.#calls), { clock: this.#deps.clock, graceMs: LAST_CALLS_MS });
    for (const task of this.#tasks.values()) task.abort();
    this.#closed.abort(new Error("the gateway stops"));
  }

  #place(neuron: string, modelId: string): Place {
    let isFree = false;
    return {
      neuron,
      free: (end = NOTHING_LEARNT) => {
        if (isFree) return;
        isFree = true;
        this.#dispatch({ kind: "place-freed", modelId, neuron, ...end, atMs: this.#nowMs() });
      },
    };
  }

  #standing(modelId: string, waiterId: string): Standing | undefined {
    const queue = this.#state.queues.get(modelId);
    if (queue === undefined) return undefined;
    const position = inOrder(queue).findIndex(({ id }) => id === waiterId) + 1;
    return position === 0 ? undefined : { position, waiting: queue.waiters.length };
  }

  #nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  async #tick(): Promise<void> {
    while (await sleptThrough(this.#deps.clock, TICK_MS, this.#closed.signal)) {
      this.#dispatch({ kind: "time-passed", atMs: this.#nowMs() });
    }
  }

  #dispatch(event: SchedulerEvent): void {
    this.#events.push(event);
    if (this.#isRunning || this.#closed.signal.aborted) return;
    this.#isRunning = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const step = reduceScheduler(this.#state, next);
        this.#state = step.state;
        for (const effect of step.effects) this.#run(effect);
      }
    } finally {
      this.#isRunning = false;
    }
    this.#deps.onStep?.();
  }

  #run(effect: SchedulerEffect): void {
    switch (effect.kind) {
      case "release-waiter":
        this.#waiters.get(effect.waiterId)?.(effect.outcome);
        return;
      case "start-load":
        void this.#follow(effect);
        return;
      case "cancel-load":
        this.#tasks.get(effect.attempt)?.abort();
        this.#call(() => this.#cancelLoad(effect));
        return;
      case "unload-idle":
        this.#call(() => this.#unload(effect, { reason: "idle", drainMs: 0 }));
        return;
      case "recycle-copy":
        this.#call(() => this.#unload(effect, { reason: "recycle", drainMs: effect.drainMs }));
    }
  }

  async #follow(effect: LoadTaskEffect): Promise<void> {
    const { clock } = this.#deps;
    const { modelId, neuron, attempt } = effect;
    const controller = new AbortController();
    this.#tasks.set(attempt, controller);
    const startedAtMs = clock.monotonicMs();
    const { evict, generation } = effect;
    const seen = this.#loadsSeen.begin({ modelId, neuron, evict, joined: generation === null, startedAtMs });
    const end = await followLoad({
      deps: { ...this.#deps, drainMs: this.#state.policy.drainMs },
      effect,
      signal: controller.signal,
      dispatch: (event) => {
        this.#dispatch(event);
      },
    });
    this.#tasks.delete(attempt);
    const outcome = end?.outcome ?? null;
    seen.endedAtMs = clock.monotonicMs();
    seen.outcome = outcome?.kind ?? "cancelled";
    for (const evicted of end?.evicted ?? []) {
      this.#deps.onEvicted({ modelId: evicted, neuron, reason: "swap" });
    }
    this.#report(effect, { outcome, durationMs: clock.monotonicMs() - startedAtMs });
    if (outcome !== null) {
      this.#dispatch({ kind: "load-ended", modelId, attempt, outcome, atMs: this.#nowMs() });
    }
  }

  /** Others' loads are theirs to count, and a neuron that had changed meanwhile began none. */
  #report(
    { modelId, neuron, generation }: LoadTaskEffect,
    { outcome, durationMs }: { readonly outcome: LoadOutcome | null; readonly durationMs: number },
  ): void {
    const { logger, onLoadEnded } = this.#deps;
    if (generation === null || outcome?.kind === "stale") return;
    const kind = outcome?.kind ?? "cancelled";
    onLoadEnded({ modelId, neuron, outcome: kind, durationMs });
    const fields = { model: modelId, neuron, outcome: kind, duration_ms: Math.round(durationMs) };
    if (outcome?.kind !== "failed") {
      logger.info(fields, "cold load ended");
      return;
    }
    const { code, message } = outcome.error;
    logger.warn({ ...fields, code, reason: message }, "cold load failed");
  }

  #call(work: () => Promise<void>): void {
    const call = work();
    this.#calls.add(call);
    void call.then(() => this.#calls.delete(call));
  }

  async #cancelLoad(effect: Extract<SchedulerEffect, { kind: "cancel-load" }>): Promise<void> {
    const { modelId, neuron, jobId } = effect;
    const { logger, neurons, poller } = this.#deps;
    logger.info({ model: modelId, neuron, job: jobId }, "load taken back: nobody came back for it");
    try {
      await neurons.get(neuron)?.cancelJob(jobId, this.#closed.signal);
    } catch (thrown) {
      logger.warn({ model: modelId, neuron, job: jobId, err: thrown }, "load could not be taken back");
    }
    await poller.refresh(neuron);
  }

  /** What is idle leaves; what is worn leaves to come back. The neuron says no where it is not as it was seen. */
  async #unload(
    { modelId, neuron, generation }: Extract<SchedulerEffect, { kind: "unload-idle" | "recycle-copy" }>,
    { reason, drainMs }: { readonly reason: "idle" | "recycle"; readonly drainMs: number },
  ): Promise<void> {
    const { logger, neurons, poller, onEvicted } = this.#deps;
    const request = { model_id: modelId, drain_timeout_secs: drainMs / 1000, reload: reason === "recycle" };
    try {
      await neurons.get(neuron)?.unload(request, { generation, signal: this.#closed.signal });
      logger.info({ model: modelId, neuron, reason }, UNLOAD_WORDS[reason].done);
      onEvicted({ modelId, neuron, reason });
    } catch (thrown) {
      const { code, message } = toCortexError(thrown);
      logger.debug({ model: modelId, neuron, code, reason: message }, UNLOAD_WORDS[reason].refused);
    }
    await poller.refresh(neuron);
  }
}

const UNLOAD_WORDS = {
  idle: { done: "idle model unloaded", refused: "idle model not unloaded" },
  recycle: { done: "worn copy is loaded anew", refused: "worn copy not loaded anew" },
} as const;
