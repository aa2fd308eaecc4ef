import type { ReachableNeuron } from "../../src/controller/observe/observed-fleet.ts";
import { CortexError } from "../../src/core/errors.ts";
import type { ChangeOptions, NeuronClient } from "../../src/protocol/io/neuron-client.ts";
import type {
  ChangeResponse,
  Job,
  LoadRequest,
  ResidentModel,
  UnloadRequest,
} from "../../src/protocol/neuron-api.ts";
import { unloadRequestSchema } from "../../src/protocol/neuron-api.ts";
import type { NeuronEvent } from "../../src/protocol/neuron-events.ts";
import { specHash } from "../../src/protocol/spec-hash.ts";
import { MemoryLedger } from "../support/neuron/memory-ledger.ts";

/** What must never happen, in words, as it happened. */
export type Complaint = (what: string) => void;

/** Seeded: the same world has the same course. */
export type Dice = (sides: number) => number;

export interface MachineOptions {
  readonly dice: Dice;
  readonly complain: Complaint;
  /** `load m@a`: a change was taken. */
  readonly onTaken: (change: string) => void;
  /** Something is different on this machine: whoever watches the fleet looks now. */
  readonly onChange: () => void;
}

interface Task {
  job: Job;
  readonly model: string;
  /** Polls until it ends; a drain takes as long as its requests do. */
  ticks: number;
  readonly end: () => void;
}

const LONGEST_LOAD_TICKS = 4;
const LONGEST_REQUEST_TICKS = 5;

/**
 * A neuron without a process: residency, generation, epoch, jobs, memory and clients' requests. Unlike a real one it takes
 * whatever it is told, and complains: of memory that is not there, of a request that is cut. So a plan or an apply that
 * would rely on a neuron's refusal is found out. Its time passes with each question about a job.
 */
export class SimulatedMachine {
  readonly name: string;
  readonly endpoint: string;
  models: ResidentModel[];
  requests = 0;
  readonly #facts: ReachableNeuron;
  readonly #memory: MemoryLedger;
  readonly #options: MachineOptions;
  readonly #tasks = new Map<string, Task>();
  /** Ticks that each request still takes, by model. */
  readonly #inFlight = new Map<string, number[]>();
  #generation: number;
  #epoch = 0;

  constructor(facts: ReachableNeuron, options: MachineOptions) {
    this.name = facts.name;
    this.endpoint = facts.endpoint;
    this.models = facts.models.map((model) => ({ ...model }));
    this.#facts = facts;
    this.#memory = new MemoryLedger(facts);
    this.#options = options;
    this.#generation = facts.generation;
  }

  observe(): ReachableNeuron {
    const health = { ...this.#facts.health, devices: this.#memory.readings(this.models) };
    return { ...this.#facts, health, generation: this.#generation, models: [...this.models] };
  }

  isReady(modelId: string): boolean {
    return this.models.some(({ id, status }) => id === modelId && status === "loaded");
  }

  /** Lets all that is under way come to its end, as it does when nobody asks. */
  runOut(): void {
    while ([...this.#tasks.values()].some(({ job }) => job.state !== "done")) this.tick();
    this.models = this.models
      .filter(({ status }) => status !== "unloading")
      .map((model) => ({ ...model, status: "loaded" }));
  }

  /** A moment passes: requests come and end, jobs go on. */
  tick(): void {
    for (const [model, ticks] of this.#inFlight)
      this.#inFlight.set(
        model,
        ticks.map((left) => left - 1).filter((left) => left > 0),
      );
    for (const { id, status } of this.models) {
      if (status !== "loaded" || this.#options.dice(3) !== 0) continue;
      this.requests += 1;
      const lasts = 1 + this.#options.dice(LONGEST_REQUEST_TICKS);
      this.#inFlight.set(id, [...(this.#inFlight.get(id) ?? []), lasts]);
    }
    for (const task of this.#tasks.values()) this.#goOn(task);
  }

  load(request: LoadRequest, options: ChangeOptions): ChangeResponse {
    this.#check(options);
    // What was on its way out before all this began has gone by the time somebody wants its memory.
    this.models = this.models.filter(({ id, status }) => status !== "unloading" || this.#isDraining(id));
    const present = this.models.find(({ id }) => id === request.model_id);
    if (present?.status === "unloading") {
      this.tick();
      throw new CortexError("draining", `${present.id} is being unloaded`, { retryAfterSecs: 2 });
    }
    const hash = specHash(request);
    if (present?.spec_hash === hash) return { status: "loaded", job: null };
    if (present !== undefined) throw new CortexError("spec_conflict", `${present.id} has other settings`);
    const split = this.#memory.split(request, this.models);
    if (split === undefined && this.models.some(({ id }) => this.#isDraining(id))) {
      // A plan counts on what leaves already; its memory is promised to nobody before it is free.
      this.tick();
      throw new CortexError("insufficient_vram", "what holds the memory is being unloaded");
    }
    if (split === undefined)
      this.#options.complain(`${request.model_id}@${this.name} was loaded where there is no memory for it`);
    this.#options.onTaken(`load ${request.model_id}@${this.name}`);
    this.models = [...this.models, loadingCopy(request, hash, split ?? [])];
    return this.#begin("load", request.model_id, () => {
      this.models = this.models.map((model) =>
        model.id === request.model_id ? { ...model, status: "loaded", vram_measured: true } : model,
      );
    });
  }

  unload(request: UnloadRequest, options: ChangeOptions): ChangeResponse {
    this.#check(options);
    const { model_id: id, force, drain_timeout_secs: drainSecs } = request;
    if (!this.models.some((model) => model.id === id)) throw new CortexError("model_not_found", id);
    this.#options.onTaken(`unload ${id}@${this.name}`);
    const open = this.#inFlight.get(id)?.length ?? 0;
    if (open > 0 && (force || drainSecs === 0)) this.#options.complain(`${open} requests of ${id} were cut`);
    this.models = this.models.map((model) => (model.id === id ? { ...model, status: "unloading" } : model));
    return this.#begin("unload", id, () => {
      this.models = this.models.filter((model) => model.id !== id);
    });
  }

  job(id: string): Job {
    this.tick();
    const task = this.#tasks.get(id);
    if (task === undefined) throw new CortexError("job_not_found", id);
    return task.job;
  }

  #isDraining(modelId: string): boolean {
    return [...this.#tasks.values()].some(({ model, job }) => model === modelId && job.state === "draining");
  }

  #check({ generation, epoch }: ChangeOptions): void {
    if (epoch !== undefined && epoch < this.#epoch) throw new CortexError("stale_epoch", `${epoch}`);
    this.#epoch = epoch ?? this.#epoch;
    if (generation === undefined) this.#options.complain(`${this.name} was changed without a condition`);
    if (generation !== undefined && generation !== this.#generation)
      throw new CortexError("stale_generation", `${this.#generation}, not ${generation}`);
  }

  #begin(kind: "load" | "unload", model: string, end: () => void): ChangeResponse {
    const job: Job = {
      id: `${this.name}-${this.#tasks.size + 1}`,
      kind,
      model_id: model,
      state: kind === "load" ? "loading" : "draining",
      progress: 0,
      created_at_ms: 0,
      ended_at_ms: null,
      error: null,
    };
    this.#tasks.set(job.id, { job, model, ticks: 1 + this.#options.dice(LONGEST_LOAD_TICKS), end });
    this.#changed();
    return { status: "pending", job };
  }

  #goOn(task: Task): void {
    if (task.job.state === "done") return;
    const drains = task.job.kind === "unload" && (this.#inFlight.get(task.model)?.length ?? 0) > 0;
    if (!drains) task.ticks -= 1;
    if (drains || task.ticks > 0) return;
    task.job = { ...task.job, state: "done", progress: 1, ended_at_ms: 1 };
    task.end();
    this.#changed();
  }

  #changed(): void {
    this.#generation += 1;
    for (const { index, vram_used_mb: used } of this.#memory.readings(this.models)) {
      const total =
        this.#facts.discovery.devices.find((device) => device.index === index)?.vram_total_mb ?? 0;
      if (used > total)
        this.#options.complain(`device ${index} of ${this.name} holds ${used} MB of ${total} MB`);
    }
    this.#options.onChange();
  }
}

function loadingCopy(request: LoadRequest, hash: string, split: readonly number[]): ResidentModel {
  return {
    id: request.model_id,
    harness: "llama",
    status: "loading",
    spec_hash: hash,
    devices: request.devices ?? [0],
    vram_used_mb: request.vram_mb ?? 1,
    vram_measured: false,
    ...(split.length === 0 ? {} : { device_vram_mb: [...split] }),
    capabilities: ["text"],
    limit: null,
    parallel: request.parallel,
    tool_call: false,
    reasoning: false,
    servable: { ok: true },
    origin: request.origin,
    last_used_ms: null,
    loaded_at_ms: 0,
    load_duration_ms: 1,
    pid: 1,
  };
}

/** What an applier that was killed hears of anything: nothing. */
class Killed extends Error {
  override readonly name = "Killed";
}

/** Kills the applier at its so-many-th change, over all machines: before it is sent, or before its answer comes back. */
export class Fuse {
  readonly #atChange: number;
  readonly #answerLost: boolean;
  #changes = 0;
  blown = false;

  constructor(atChange: number, answerLost: boolean) {
    this.#atChange = atChange;
    this.#answerLost = answerLost;
  }

  static readonly never = (): Fuse => new Fuse(Infinity, false);

  ask<Answer>(question: () => Answer): Answer {
    if (this.blown) throw new Killed("the applier is dead");
    return question();
  }

  change<Answer>(send: () => Answer): Answer {
    if (this.blown) throw new Killed("the applier is dead");
    this.#changes += 1;
    if (this.#changes < this.#atChange) return send();
    this.blown = true;
    if (this.#answerLost) send();
    throw new Killed("the applier was killed");
  }
}

const never = (): never => {
  throw new Error("an apply has no business with this");
};

/** The machine as an applier calls it. */
export function clientOf(machine: SimulatedMachine, fuse: Fuse): NeuronClient {
  const ask = async <Answer>(question: () => Answer): Promise<Answer> => fuse.ask(question);
  return {
    name: machine.name,
    discovery: () => ask(() => machine.observe().discovery),
    health: () => ask(() => machine.observe().health),
    models: () =>
      ask(() => machine.observe()).then(({ generation, models }) => ({ generation, models: [...models] })),
    job: (id) => ask(() => machine.job(id)),
    load: async (request, options = {}) => fuse.change(() => machine.load(request, options)),
    unload: async (request, options = {}) =>
      fuse.change(() => machine.unload(unloadRequestSchema.parse(request), options)),
    jobs: never,
    drain: never,
    resume: never,
    estimate: never,
    swap: never,
    cancelJob: never,
    ask: never,
    lease: never,
    swapLease: never,
    dispatch: never,
    async *events() {
      const { discovery, health, generation, models } = await ask(() => {
        machine.tick();
        return machine.observe();
      });
      const whole = { discovery, health, generation, models: [...models], jobs: [] };
      const event: NeuronEvent = { kind: "snapshot-taken", ...whole };
      yield [{ id: "life:1", event }];
    },
    revoke: () => Promise.resolve(),
    retire: async () => {},
    destroy: async () => {},
  };
}
