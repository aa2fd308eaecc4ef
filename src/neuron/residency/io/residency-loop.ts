import { randomUUID } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Job, LoadRequest, SwapRequest, UnloadRequest } from "../../../protocol/neuron-api.ts";
import { admit } from "../admission.ts";
import { memoryHasReturned } from "../device-ledger.ts";
import { jobHasEnded } from "../job-history.ts";
import {
  emptyResidency,
  findInstance,
  type ChangeAnswer,
  type ChangeCondition,
  type EffectOf,
  type EventOf,
  type ReportEffect,
  type Residency,
  type ResidencyEffect,
  type ResidencyEvent,
} from "../residency-state.ts";
import { reduceResidency } from "../residency.ts";
import type { ModelFiles } from "../../model/io/model-files.ts";
import type { ModelStore } from "../../store/io/model-store.ts";
import type { EpochFile } from "./epoch-file.ts";
import type { Estimator } from "./estimator.ts";
import type { FactBook } from "./fact-book.ts";
import { failureOf } from "../worker-failure.ts";
import { awaitState } from "./await-state.ts";
import { bringFiles, companionsOf } from "./bring-files.ts";
import { endWorker, type ModelWorker, type WorkerAddress, type WorkerLaunch } from "./model-worker.ts";

export interface ResidencyLoopDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly modelFiles: ModelFiles;
  readonly modelStore: Pick<ModelStore, "fetch">;
  readonly usedMib: () => Promise<ReadonlyMap<number, number>>;
  readonly epochs: EpochFile;
  readonly estimator: Estimator;
  readonly book: Pick<FactBook, "calibrations" | "rememberThreads">;
  /** Resolves once the next neuron would know of all that is held now. */
  readonly assignmentKept: () => Promise<void>;
  readonly launchWorker: (launch: WorkerLaunch) => ModelWorker;
  /** Told of every load that ended and every worker that was lost. */
  readonly report: (effect: ReportEffect) => void;
}

/** How long the driver may take to show memory as free after the process that held it has gone. */
const MEMORY_RETURN_MS = 5_000;
const MEMORY_LOOK_MS = 100;
const NO_READINGS: ReadonlyMap<number, number> = new Map();

/** A request that was taken: `end` must be called exactly once, on every path. */
export interface AdmittedRequest {
  readonly modelId: string;
  readonly worker: ModelWorker;
  end(): void;
}

/**
 * Feeds `reduceResidency` and carries its effects out. One event is handled at a time, so what is decided from
 * `state` in one turn of the event loop and dispatched in the same turn cannot be overtaken.
 */
export class ResidencyLoop {
  readonly #deps: ResidencyLoopDeps;
  readonly #queue: ResidencyEvent[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #verifications = new Map<string, AbortController>();
  readonly #drainTimers = new Map<string, AbortController>();
  readonly #workers = new Map<string, ModelWorker>();
  readonly #closing = new AbortController();
  #state: Residency;
  #running = false;

  constructor(deps: ResidencyLoopDeps) {
    this.#deps = deps;
    // Counting goes on from the time of the start: a plan made before a restart must not match after it.
    const generation = Math.floor(deps.clock.nowMs() / 1000);
    this.#state = { ...emptyResidency, generation, epochs: deps.epochs.highest };
  }

  get state(): Residency {
    return this.#state;
  }

  /** Handles an event and all that follow from it; returns the answer to this one. */
  dispatch(event: ResidencyEvent): ChangeAnswer | null {
    this.#queue.push(event);
    if (this.#running) return null;
    this.#running = true;
    const before = this.#state;
    let answer: ChangeAnswer | null = null;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const step = reduceResidency(this.#state, next);
        this.#state = step.state;
        answer ??= step.answer;
        for (const effect of step.effects) this.#run(effect);
      }
    } finally {
      this.#running = false;
    }
    if (before !== this.#state) for (const listener of this.#listeners) listener();
    return answer;
  }

  /** Calls the listener after every change of the state. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async load(request: LoadRequest, condition: ChangeCondition): Promise<ChangeAnswer> {
    await this.#keepEpoch(condition);
    return this.#ask({ kind: "load-requested", jobId: newJobId(), request, condition, atMs: this.#nowMs() });
  }

  async swap(request: SwapRequest, condition: ChangeCondition): Promise<ChangeAnswer> {
    await this.#keepEpoch(condition);
    return this.#ask({
      kind: "swap-requested",
      jobId: newJobId(),
      request: request.load,
      evict: request.evict,
      drainTimeoutMs: request.drain_timeout_secs * 1000,
      force: request.force,
      condition,
      atMs: this.#nowMs(),
    });
  }

  async unload(request: UnloadRequest, condition: ChangeCondition): Promise<ChangeAnswer> {
    await this.#keepEpoch(condition);
    const answer = this.#ask({
      kind: "unload-requested",
      jobId: newJobId(),
      modelId: request.model_id,
      drainTimeoutMs: request.drain_timeout_secs * 1000,
      force: request.force,
      reload: request.reload,
      condition,
      atMs: this.#nowMs(),
    });
    // It may have been on its way back.
    if (answer.kind === "nothing-to-do") await this.#deps.assignmentKept();
    return answer;
  }

  cancelJob(jobId: string, how: { readonly unlessJoined: boolean }): ChangeAnswer {
    return this.#ask({ kind: "job-cancel-requested", jobId, ...how, atMs: this.#nowMs() });
  }

  /** Takes a request for a loaded model, or throws why not. */
  openRequest(modelId: string): AdmittedRequest {
    const admission = admit(this.#state, modelId);
    if (!admission.ok) {
      const { failure, fullInstance } = admission.error;
      if (fullInstance !== null) this.dispatch({ kind: "request-refused", instance: fullInstance });
      throw failure;
    }
    const { instance } = admission.value;
    const worker = this.#workers.get(instance);
    if (worker === undefined)
      throw new CortexError("internal_error", `${modelId} is loaded without a worker`);
    this.dispatch({ kind: "request-started", instance, atMs: this.#nowMs() });
    let ended = false;
    return {
      modelId,
      worker,
      end: () => {
        if (ended) return;
        ended = true;
        this.dispatch({ kind: "request-ended", instance, atMs: this.#nowMs() });
      },
    };
  }

  /** The job once it has ended; rejects with the signal's reason. The job itself goes on. */
  async jobEnd(jobId: string, signal?: AbortSignal): Promise<Job> {
    return this.until(({ jobs }) => {
      const job = jobs.get(jobId);
      if (job === undefined) throw new CortexError("job_not_found", `there is no job ${jobId}`);
      return jobHasEnded(job) ? job : undefined;
    }, signal);
  }

  /** What `look` first finds in a state, now or after a change. */
  async until<Found>(look: (state: Residency) => Found | undefined, signal?: AbortSignal): Promise<Found> {
    return awaitState({ state: () => this.#state, listeners: this.#listeners }, look, signal);
  }

  /** Takes over a worker that an earlier neuron has left. */
  adopt(adopted: Omit<EventOf<"worker-adopted">, "kind">, worker: ModelWorker): void {
    const { instance } = adopted;
    this.#workers.set(instance, worker);
    void this.#watchExit(instance, worker);
    this.dispatch({ kind: "worker-adopted", ...adopted });
  }

  /** Where the worker of a copy is found; undefined while it has none. */
  addressOf(instance: string): WorkerAddress | undefined {
    return this.#workers.get(instance)?.address;
  }

  /** Lets every worker live on by itself, for the next neuron. Nothing is taken any more from then on. */
  handOver(): void {
    this.#closing.abort();
    for (const worker of this.#workers.values()) worker.release();
  }

  /** Ends every model and resolves when all processes are gone. Nothing is taken any more from the first moment. */
  async shutDown(drainTimeoutMs: number, signal: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.dispatch({ kind: "shutdown-begun", drainTimeoutMs, atMs: this.#nowMs() });
    await this.until(({ models }) => (models.size === 0 ? true : undefined), signal);
    for (const timer of this.#drainTimers.values()) timer.abort();
  }

  /** On disk before anything is done in its name: a neuron that comes back must not obey an older apply. */
  async #keepEpoch({ epoch, fleet }: ChangeCondition): Promise<void> {
    if (epoch !== null) await this.#deps.epochs.keep(fleet, epoch);
  }

  #ask(event: ResidencyEvent): ChangeAnswer {
    const answer = this.dispatch(event);
    if (answer === null) throw new CortexError("internal_error", `${event.kind} was not answered`);
    return answer;
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs();
  }

  #run(effect: ResidencyEffect): void {
    switch (effect.kind) {
      case "verify-source":
        void this.#verify(effect);
        return;
      case "abandon-verification":
        this.#verifications.get(effect.instance)?.abort();
        return;
      case "start-worker":
        this.#startWorker(effect);
        return;
      case "keep-assignment":
        void this.#keepAssignment(effect.instance);
        return;
      case "stop-worker":
        endWorker(this.#workers.get(effect.instance), effect);
        return;
      case "start-drain-timer":
        void this.#startDrainTimer(effect.instance, effect.timeoutMs);
        return;
      case "start-restart-timer":
        void this.#startRestartTimer(effect);
        return;
      case "report-load-ended":
      case "report-worker-lost":
        this.#deps.report(effect);
    }
  }

  async #verify({ instance, spec }: EffectOf<"verify-source">): Promise<void> {
    const abandoned = new AbortController();
    this.#verifications.set(instance, abandoned);
    try {
      const files = await bringFiles(spec, {
        ...this.#deps,
        signal: abandoned.signal,
        onProgress: (news) => this.dispatch({ kind: "source-progressed", instance, ...news }),
      });
      // The spec as it was asked for: what was learnt of it must not hang on where its file lies.
      const { requiredMib, contextTokens, predictedMs } = this.#deps.estimator.need(spec, files);
      const usedMib = await this.#deps.usedMib();
      const atMs = this.#nowMs();
      const { path, fileBytes } = files.file;
      const companions = companionsOf(files);
      const loadable = { path, fileBytes, companions, contextTokens, requiredMib, predictedMs };
      this.dispatch({ kind: "source-verified", instance, file: loadable, requiredMib, usedMib, atMs });
    } catch (thrown) {
      const failure = toCortexError(thrown);
      if (failure.code === "internal_error" && !abandoned.signal.aborted) {
        this.#deps.logger.error(
          { err: thrown, model: spec.model_id },
          "the file of a model could not be checked",
        );
      }
      this.dispatch({ kind: "source-refused", instance, failure, atMs: this.#nowMs() });
    } finally {
      this.#verifications.delete(instance);
    }
  }

  #startWorker({ instance, spec, file, devices }: EffectOf<"start-worker">): void {
    const startedMs = this.#deps.clock.monotonicMs();
    const worker = this.#deps.launchWorker({
      instance,
      spec,
      file,
      devices,
      calibrations: this.#deps.book.calibrations(file.fileBytes),
      onMessage: (message) => {
        switch (message.kind) {
          case "load-progressed":
            this.dispatch({ kind: "load-progressed", instance, fraction: message.fraction });
            return;
          case "model-loaded":
            this.#deps.estimator.learn(spec, {
              fileBytes: file.fileBytes,
              facts: message.facts,
              ms: this.#deps.clock.monotonicMs() - startedMs,
            });
            this.dispatch({ kind: "model-loaded", instance, facts: message.facts, atMs: this.#nowMs() });
            return;
          case "calibrated":
            this.#deps.book.rememberThreads(file.fileBytes, message.calibration);
            this.dispatch({ ...message, kind: "threads-chosen", instance });
            return;
          case "load-failed": {
            const failure = failureOf(message);
            this.dispatch({ kind: "load-failed", instance, failure, atMs: this.#nowMs() });
            return;
          }
        }
      },
    });
    this.#workers.set(instance, worker);
    if (worker.pid !== null) this.dispatch({ kind: "worker-spawned", instance, pid: worker.pid });
    void this.#watchExit(instance, worker);
  }

  async #keepAssignment(instance: string): Promise<void> {
    await this.#deps.assignmentKept();
    this.dispatch({ kind: "assignment-kept", instance, atMs: this.#nowMs() });
  }

  async #watchExit(instance: string, worker: ModelWorker): Promise<void> {
    const exit = await worker.exited;
    this.#workers.delete(instance);
    this.#drainTimers.get(instance)?.abort();
    // What is told as unloaded must not come back with the next neuron.
    if (findInstance(this.#state, instance)?.phase.name === "stopping") await this.#deps.assignmentKept();
    const usedMib = await this.#memoryReturned(instance);
    this.dispatch({ kind: "worker-exited", instance, exit, usedMib, atMs: this.#nowMs() });
  }

  /**
   * What the driver says is used, once it shows what a worker that was told to go has held, or does not in time. A
   * crash is told at once: nobody waits for its memory, and its requests must not be kept.
   */
  async #memoryReturned(instance: string): Promise<ReadonlyMap<number, number>> {
    const { clock, usedMib } = this.#deps;
    const waitUntilMs = clock.monotonicMs() + MEMORY_RETURN_MS;
    for (;;) {
      const resident = findInstance(this.#state, instance);
      if (resident?.phase.name !== "stopping" || this.#state.mode === "closing") return NO_READINGS;
      const used = await usedMib();
      const isBack = memoryHasReturned(this.#state.ledger, resident.spec.model_id, used);
      if (isBack || clock.monotonicMs() >= waitUntilMs) return used;
      await clock.sleep(MEMORY_LOOK_MS);
    }
  }

  async #startRestartTimer(effect: EffectOf<"start-restart-timer">): Promise<void> {
    const { request, instance, delayMs } = effect;
    if (!(await sleptThrough(this.#deps.clock, delayMs, this.#closing.signal))) return;
    this.dispatch({ kind: "restart-came-due", jobId: newJobId(), request, instance, atMs: this.#nowMs() });
  }

  async #startDrainTimer(instance: string, timeoutMs: number): Promise<void> {
    this.#drainTimers.get(instance)?.abort();
    const timer = new AbortController();
    this.#drainTimers.set(instance, timer);
    try {
      await this.#deps.clock.sleep(timeoutMs, timer.signal);
      this.dispatch({ kind: "drain-timed-out", instance, atMs: this.#nowMs() });
    } catch {
      // Replaced by a later drain, or not needed any more.
    } finally {
      if (this.#drainTimers.get(instance) === timer) this.#drainTimers.delete(instance);
    }
  }
}

const newJobId = (): string => `job-${randomUUID()}`;
