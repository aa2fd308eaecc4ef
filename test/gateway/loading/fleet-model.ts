import { CortexError } from "../../../src/core/errors.ts";
import { reduceScheduler } from "../../../src/gateway/loading/scheduler.ts";
import {
  initialScheduler,
  type LoadOutcome,
  type Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerPolicy,
  type WaitOutcome,
} from "../../../src/gateway/loading/scheduler-state.ts";
import { initialFleetView, type FleetView } from "../../../src/gateway/view/fleet-view.ts";
import { indexOf } from "../view-builder.ts";
import { evictionBreaches } from "./eviction-breaches.ts";
import type { Request } from "./simulated-request.ts";
import {
  endAt,
  FAST_FAILURE_MS,
  comeBack,
  freeMib,
  POLICY,
  withdraw,
  surelyRests,
  viewOf,
  newCopy,
  type Job,
  type ModelSketch,
  type SimulatedNeuron,
} from "./simulated-neuron.ts";

/** Neurons as they are, and the scheduler that sees them with delay; time moves only when told. */
export class FleetModel {
  state: Scheduler;
  nowMs = 0;
  readonly requests: Request[] = [];
  readonly breaches: string[] = [];
  readonly neurons: readonly SimulatedNeuron[];
  readonly models: ReadonlyMap<string, ModelSketch>;
  /** Times at which a copy was made to leave for another. */
  readonly swaps: { readonly atMs: number; readonly neuron: string; readonly into: string }[] = [];
  readonly recycled: { readonly neuron: string; readonly modelId: string }[] = [];
  readonly #open = new Map<string, Request>();
  #nextRequest = 0;

  constructor(
    neuronMib: Readonly<Record<string, number>>,
    models: readonly ModelSketch[],
    policy: Partial<SchedulerPolicy> = {},
  ) {
    this.models = new Map(models.map((model) => [model.id, model]));
    this.neurons = Object.entries(neuronMib).map(([name, totalMib]) => ({
      name,
      totalMib,
      copies: new Map(),
      jobs: [],
      generation: 1,
      broken: new Set(),
    }));
    const blocks = models.map(({ id, mib, priority, replicas, parallel, idleUnloadSecs }) => ({
      id,
      vram_mb: mib,
      parallel: parallel ?? 2,
      ...(priority === undefined ? {} : { residency_priority: priority }),
      ...(replicas === undefined ? {} : { replicas }),
      ...(idleUnloadSecs === undefined ? {} : { idle_unload_secs: idleUnloadSecs }),
    }));
    const fleet = indexOf(Object.fromEntries(Object.keys(neuronMib).map((name) => [name, {}])), blocks);
    this.state = initialScheduler({ ...POLICY, ...policy }, fleet, initialFleetView([]));
    this.see();
  }

  /** What the scheduler is shown: everything as it is now. */
  see(): void {
    this.#dispatch({ kind: "view-changed", view: this.#view(), atMs: this.nowMs });
  }

  /** A request comes; it enters where there is room, as the router would have it, or waits. */
  ask(
    modelId: string,
    how: {
      readonly principal?: string;
      readonly serveMs?: number;
      readonly patienceMs?: number;
      readonly avoid?: readonly string[];
    } = {},
  ): Request {
    this.#nextRequest += 1;
    const request: Request = {
      id: `r${this.#nextRequest}`,
      modelId,
      principal: how.principal ?? "p",
      arrivedAtMs: this.nowMs,
      deadlineAtMs: this.nowMs + (how.patienceMs ?? 300_000),
      serveMs: how.serveMs ?? 100,
      state: "waiting",
      outcome: null,
      neuron: "",
      grantedAtMs: 0,
      released: 0,
    };
    this.requests.push(request);
    this.#open.set(request.id, request);
    this.#dispatch({
      kind: "waiter-arrived",
      waiterId: request.id,
      modelId,
      principal: request.principal,
      affinity: null,
      avoid: new Set(how.avoid),
      excluded: new Set(),
      deadlineAtMs: request.deadlineAtMs,
      atMs: this.nowMs,
    });
    return request;
  }

  leave(request: Request): void {
    if (request.state !== "waiting") return;
    this.#dispatch({
      kind: "waiter-left",
      waiterId: request.id,
      modelId: request.modelId,
      atMs: this.nowMs,
    });
  }

  finish(request: Request): void {
    if (request.state !== "in-flight") return;
    request.state = "over";
    this.#open.delete(request.id);
    const { neuron, modelId } = request;
    const copy = this.#neuron(neuron).copies.get(modelId);
    const outcome = copy === undefined ? "served" : endAt(copy, this.nowMs);
    this.#dispatch({ kind: "place-freed", neuron, modelId, outcome, tokensPerSec: null, atMs: this.nowMs });
  }

  open(state: Request["state"] | "any"): Request[] {
    return [...this.#open.values()].filter((request) => state === "any" || request.state === state);
  }

  /** Lets time pass: requests are answered, drains end, loads come to their end. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + 100);
      let changed = false;
      for (const request of this.open("any")) {
        if (request.state === "in-flight" && this.nowMs - request.grantedAtMs >= this.#serveMs(request)) {
          this.finish(request);
          changed = true;
        }
      }
      for (const neuron of this.neurons) changed = this.#work(neuron) || changed;
      if (changed) this.see();
      this.#dispatch({ kind: "time-passed", atMs: this.nowMs });
    }
  }

  #serveMs({ neuron, modelId, serveMs }: Request): number {
    return this.#neuron(neuron).copies.get(modelId)?.failsRequests === true ? FAST_FAILURE_MS : serveMs;
  }

  /** From now on the copy fails every request, or none. */
  turn(neuronName: string, modelId: string, failsRequests: boolean): void {
    const copy = this.#neuron(neuronName).copies.get(modelId);
    if (copy !== undefined) copy.failsRequests = failsRequests;
  }

  /** Somebody else loads a model, without asking this gateway. */
  place(neuronName: string, modelId: string, origin: "request" | "revision" = "request"): void {
    const neuron = this.#neuron(neuronName);
    const { mib } = this.#model(modelId);
    if (neuron.copies.has(modelId) || freeMib(neuron, this.models) < mib) return;
    neuron.copies.set(modelId, newCopy({ modelId, status: "loaded", origin, loadedAtMs: this.nowMs }));
    neuron.generation += 1;
  }

  /** Somebody else takes an idle copy away. */
  takeAway(neuronName: string, modelId: string): void {
    const neuron = this.#neuron(neuronName);
    const copy = neuron.copies.get(modelId);
    if (copy?.status !== "loaded" || copy.inFlight > 0) return;
    withdraw(neuron, modelId);
    neuron.generation += 1;
  }

  break(neuronName: string, modelId: string): void {
    this.#neuron(neuronName).broken.add(modelId);
  }

  mend(neuronName: string): void {
    this.#neuron(neuronName).broken.clear();
  }

  loadedOn(neuronName: string): readonly string[] {
    return [...this.#neuron(neuronName).copies.values()]
      .filter(({ status }) => status === "loaded")
      .map(({ modelId }) => modelId);
  }

  demand(holds: boolean, breach: string): void {
    if (!holds) this.breaches.push(`${this.nowMs} ms: ${breach}`);
  }

  #neuron(name: string): SimulatedNeuron {
    const neuron = this.neurons.find((candidate) => candidate.name === name);
    if (neuron === undefined) throw new Error(`no neuron ${name}`);
    return neuron;
  }

  #model(id: string): ModelSketch {
    const model = this.models.get(id);
    if (model === undefined) throw new Error(`no model ${id}`);
    return model;
  }

  #dispatch(event: SchedulerEvent): void {
    const step = reduceScheduler(this.state, event);
    this.state = step.state;
    for (const effect of step.effects) this.#run(effect);
  }

  #run(effect: SchedulerEffect): void {
    switch (effect.kind) {
      case "release-waiter":
        this.#release(effect.waiterId, effect.outcome);
        return;
      case "start-load":
        this.#startLoad(effect);
        return;
      case "cancel-load": {
        const neuron = this.#neuron(effect.neuron);
        const at = neuron.jobs.findIndex(({ id }) => id === effect.jobId);
        if (at !== -1) this.#endJob(neuron, neuron.jobs[at], null);
        return;
      }
      case "recycle-copy":
        this.#recycle(effect);
        return;
      case "unload-idle":
        if (this.#neuron(effect.neuron).generation === effect.generation) {
          this.takeAway(effect.neuron, effect.modelId);
          this.see();
        }
    }
  }

  #recycle({ neuron: name, modelId, generation }: Extract<SchedulerEffect, { kind: "recycle-copy" }>): void {
    const neuron = this.#neuron(name);
    const { cycles = 0 } = neuron.copies.get(modelId) ?? {};
    this.demand(cycles >= this.state.policy.defragAfterCycles, `${modelId} is recycled and is not worn`);
    if (neuron.generation === generation && comeBack(neuron, modelId, this.nowMs))
      this.recycled.push({ neuron: name, modelId });
    this.see();
  }

  #release(waiterId: string, outcome: WaitOutcome): void {
    const request = this.#open.get(waiterId);
    if (request === undefined) {
      this.demand(false, `${waiterId} was released and is over or never came`);
      return;
    }
    request.released += 1;
    request.outcome = outcome.kind;
    this.demand(request.state === "waiting", `${waiterId} was released while ${request.state}`);
    if (outcome.kind !== "granted") {
      request.state = "over";
      this.#open.delete(request.id);
      return;
    }
    request.state = "in-flight";
    request.neuron = outcome.neuron;
    request.grantedAtMs = this.nowMs;
    const copy = this.#neuron(outcome.neuron).copies.get(request.modelId);
    const rests = copy !== undefined && surelyRests(copy, this.nowMs);
    this.demand(!rests, `${request.id} was sent to a copy that has just failed three times`);
    if (copy?.status === "loaded") copy.inFlight += 1;
  }

  #startLoad(effect: Extract<SchedulerEffect, { kind: "start-load" }>): void {
    const { modelId, attempt, evict, generation } = effect;
    const neuron = this.#neuron(effect.neuron);
    for (const breach of evictionBreaches(effect, this)) this.demand(false, breach);
    const end = (outcome: LoadOutcome) => {
      this.see();
      this.#dispatch({ kind: "load-ended", modelId, attempt, outcome, atMs: this.nowMs });
    };
    if (generation !== null && generation !== neuron.generation) {
      end({ kind: "stale" });
      return;
    }
    this.demand(!neuron.copies.has(modelId), `${modelId} is loaded twice on ${neuron.name}`);
    const { mib } = this.#model(modelId);
    const victims: string[] = [];
    let free = freeMib(neuron, this.models);
    for (const victim of evict) {
      if (free >= mib) break;
      if (neuron.copies.get(victim)?.status !== "loaded") continue;
      victims.push(victim);
      free += this.#model(victim).mib;
    }
    if (free < mib) {
      const details = { required_mb: mib };
      end({ kind: "failed", error: new CortexError("insufficient_vram", "no room", { details }) });
      return;
    }
    for (const victim of victims) {
      const copy = neuron.copies.get(victim);
      if (copy !== undefined) copy.status = "unloading";
    }
    const job: Job = {
      id: `job-${attempt}`,
      modelId,
      attempt,
      victims,
      drainUntilMs: this.nowMs + POLICY.drainMs,
      fails: neuron.broken.has(modelId),
      readyAtMs: null,
      evicted: [],
    };
    neuron.jobs.push(job);
    neuron.generation += 1;
    this.#dispatch({ kind: "load-accepted", modelId, attempt, jobId: job.id, atMs: this.nowMs });
    this.#work(neuron);
    this.see();
  }

  /** Moves the jobs of a neuron on; true when anything changed that can be seen. */
  #work(neuron: SimulatedNeuron): boolean {
    let changed = false;
    for (const job of neuron.jobs.slice()) {
      const copies = job.victims.flatMap((victim) => neuron.copies.get(victim) ?? []);
      if (job.readyAtMs === null) {
        if (copies.some(({ inFlight }) => inFlight > 0)) {
          if (this.nowMs < job.drainUntilMs) continue;
          for (const copy of copies) copy.status = "loaded";
          this.#endJob(neuron, job, new CortexError("model_busy", "still at work"));
          changed = true;
          continue;
        }
        for (const copy of copies) {
          this.demand(copy.inFlight === 0, `${copy.modelId} was unloaded with work in flight`);
          withdraw(neuron, copy.modelId);
          job.evicted.push(copy.modelId);
        }
        if (copies.length > 0) {
          this.swaps.push({ atMs: this.nowMs, neuron: neuron.name, into: job.modelId });
        }
        neuron.copies.set(
          job.modelId,
          newCopy({ modelId: job.modelId, status: "loading", origin: "request", loadedAtMs: 0 }),
        );
        job.readyAtMs = this.nowMs + this.#model(job.modelId).loadMs;
        this.demand(freeMib(neuron, this.models) >= 0, `${neuron.name} holds more than it has`);
        neuron.generation += 1;
        changed = true;
      } else if (this.nowMs >= job.readyAtMs) {
        this.#endJob(neuron, job, job.fails ? new CortexError("model_file_invalid", "broken") : undefined);
        changed = true;
      }
    }
    return changed;
  }

  /** Done, failed, or (null) taken back. */
  #endJob(neuron: SimulatedNeuron, job: Job | undefined, failure: CortexError | null | undefined): void {
    if (job === undefined) return;
    neuron.jobs.splice(neuron.jobs.indexOf(job), 1);
    neuron.generation += 1;
    const { modelId, attempt } = job;
    if (job.readyAtMs === null) {
      for (const victim of job.victims) {
        const copy = neuron.copies.get(victim);
        if (copy?.status === "unloading") copy.status = "loaded";
      }
    }
    if (failure === undefined) {
      neuron.copies.set(
        modelId,
        newCopy({ modelId, status: "loaded", origin: "request", loadedAtMs: this.nowMs }),
      );
    } else if (job.readyAtMs !== null) withdraw(neuron, modelId);
    this.see();
    if (failure === null) return;
    const outcome: LoadOutcome =
      failure === undefined ? { kind: "loaded" } : { kind: "failed", error: failure };
    this.#dispatch({ kind: "load-ended", modelId, attempt, outcome, atMs: this.nowMs });
  }

  #view(): FleetView {
    const neurons = new Map(
      this.neurons.map((neuron) => [
        neuron.name,
        viewOf(neuron, { models: this.models, state: this.state, nowMs: this.nowMs }),
      ]),
    );
    const measured = [...this.models.values()].map(({ id, loadMs }) => [id, loadMs] as const);
    return { neurons, measuredLoadMs: new Map(measured), known: new Map() };
  }
}
