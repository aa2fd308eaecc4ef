import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ReachableNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import { CortexError, type ErrorCode } from "../../../src/core/errors.ts";
import { toErrorResponse } from "../../../src/protocol/error-envelope.ts";
import {
  loadRequestSchema,
  unloadRequestSchema,
  type Job,
  type LoadRequest,
  type ResidentModel,
} from "../../../src/protocol/neuron-api.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import { MemoryLedger } from "./memory-ledger.ts";

export interface RecordedCall {
  readonly method: string;
  readonly path: string;
  readonly ifMatch: string | undefined;
  readonly epoch: string | undefined;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** What the next load or unload of a model does instead of succeeding at once. */
export interface Script {
  /** Refuse this many times first. */
  readonly busyTimes?: number;
  readonly busyCode?: ErrorCode;
  /** The job fails. */
  readonly jobError?: { readonly code: string; readonly message: string; readonly next: string };
  /** The same for unloads alone. */
  readonly unloadError?: { readonly code: string; readonly message: string; readonly next: string };
  /** The job goes on until `release()`. */
  readonly held?: boolean;
  /** What the model says to a request, one after another, the last for ever; a number is a status of a refusal. */
  readonly says?: readonly unknown[];
  /** What the job reports poll by poll while it is held; the last for ever. */
  readonly reports?: readonly Partial<Job>[];
}

/**
 * A neuron over real HTTP that does what a test scripts: it keeps residency and a generation as the protocol says,
 * refuses a stale `If-Match`, counts its memory as a neuron does (see `MemoryLedger`), and runs loads and unloads as
 * jobs that take one poll.
 */
export class ScriptedNeuron {
  readonly calls: RecordedCall[] = [];
  generation: number;
  models: ResidentModel[];
  /** Highest epoch of a change that it has obeyed. */
  epoch = 0;
  /** Tells no events, as neurons did before there were any. */
  knowsEvents = true;
  /** Answers nothing while true: connections stay open. */
  silent = false;
  /** Replaces every answer. */
  answer: { readonly status: number; readonly body: string } | undefined;
  readonly #facts: ReachableNeuron;
  readonly #memory: MemoryLedger;
  readonly #token: string | undefined;
  readonly #scripts = new Map<string, Script>();
  readonly #jobs = new Map<string, { job: Job; finish: () => void; held: boolean; polls: number }>();
  #beforeChange: (() => void) | undefined;
  readonly #server: Server;
  readonly #waiters: { readonly path: string; readonly resolve: () => void }[] = [];

  private constructor(facts: ReachableNeuron, token: string | undefined) {
    this.#facts = facts;
    this.#memory = new MemoryLedger(facts);
    this.#token = token;
    this.generation = facts.generation;
    this.models = [...facts.models];
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(
    facts: ReachableNeuron,
    options: { readonly token?: string } = {},
  ): Promise<ScriptedNeuron> {
    const neuron = new ScriptedNeuron(facts, options.token);
    await new Promise<void>((resolve) => neuron.#server.listen(0, "127.0.0.1", resolve));
    return neuron;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  script(modelId: string, script: Script): void {
    this.#scripts.set(modelId, script);
  }

  /** Ends every held job. */
  release(): void {
    for (const entry of this.#jobs.values()) entry.held = false;
  }

  /** Changes residency from outside, as another gateway would. */
  meddle(models: readonly ResidentModel[]): void {
    this.models = [...models];
    this.generation += 1;
  }

  /** The same, just before the next change that somebody asks for. */
  meddleAtNextChange(models: (present: readonly ResidentModel[]) => readonly ResidentModel[]): void {
    this.#beforeChange = () => this.meddle(models(this.models));
  }

  /** Resolves when a call to this path has come in. */
  async called(path: string): Promise<void> {
    if (this.calls.some((call) => call.path === path)) return;
    await new Promise<void>((resolve) => this.#waiters.push({ path, resolve }));
  }

  /** Loads and unloads that were asked for; what is only estimated changes nothing. */
  changes(): string[] {
    return this.calls
      .filter(({ method, path }) => method === "POST" && /^\/models\/(?:load|unload|swap)$/.test(path))
      .map(
        (call) =>
          `${call.path} ${(call.body as { model_id: string }).model_id} if-match ${call.ifMatch?.replaceAll('"', "") ?? "none"}`,
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("utf8");
    const path = request.url ?? "";
    const call: RecordedCall = {
      method: request.method ?? "",
      path,
      ifMatch: request.headers["if-match"],
      epoch: request.headers["cortex-epoch"]?.toString(),
      authorization: request.headers.authorization,
      body: text === "" ? undefined : JSON.parse(text),
    };
    this.calls.push(call);
    for (const waiter of this.#waiters) if (waiter.path === path) waiter.resolve();
    if (this.silent) return;
    if (this.answer !== undefined) {
      response.writeHead(this.answer.status, { "content-type": "text/html" }).end(this.answer.body);
      return;
    }
    if (path === "/events" && this.knowsEvents) this.#tellSnapshot(response);
    else this.#reply(call, response);
  }

  /** The stream begins with everything, and stays open until its reader has enough. */
  #tellSnapshot(response: ServerResponse): void {
    const event = {
      kind: "snapshot-taken",
      generation: this.generation,
      discovery: this.#facts.discovery,
      health: this.#health(),
      models: this.models,
      jobs: [],
    };
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`id: life:1\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
  }

  #health(): unknown {
    return { ...this.#facts.health, devices: this.#memory.readings(this.models) };
  }

  #reply(call: RecordedCall, response: ServerResponse): void {
    try {
      const { status, body } = this.#route(call);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      const { status, headers, body } = toErrorResponse(thrown);
      response
        .writeHead(status, { ...headers, "content-type": "application/json" })
        .end(JSON.stringify(body));
    }
  }

  #route(call: RecordedCall): { status: number; body: unknown } {
    if (this.#token !== undefined && call.authorization !== `Bearer ${this.#token}`) {
      throw new CortexError("unauthorized", "the token is missing or wrong");
    }
    switch (`${call.method} ${call.path}`) {
      case "GET /discovery":
        return { status: 200, body: this.#facts.discovery };
      case "GET /health":
        return { status: 200, body: this.#health() };
      case "GET /models":
        return { status: 200, body: { generation: this.generation, models: this.models } };
      case "GET /events":
        throw new CortexError("route_not_found", "there are no events");
      case "POST /v1/chat/completions":
      case "POST /v1/embeddings":
        return this.#say((call.body as { model: string }).model);
      case "POST /models/load":
        return this.#load(call, loadRequestSchema.parse(call.body));
      case "POST /models/unload":
        return this.#unload(call, unloadRequestSchema.parse(call.body).model_id);
      default:
        return this.#job(call.path.replace("/jobs/", ""));
    }
  }

  #say(modelId: string): { status: number; body: unknown } {
    if (!this.models.some(({ id }) => id === modelId))
      throw new CortexError("model_not_found", `${modelId} is not loaded`);
    const { says = [], ...script } = this.#scripts.get(modelId) ?? {};
    const [now, ...later] = says;
    if (later.length > 0) this.#scripts.set(modelId, { ...script, says: later });
    if (now === 503) throw new CortexError("queue_full", `${modelId}: every slot is taken`);
    return { status: 200, body: now };
  }

  #load(call: RecordedCall, request: LoadRequest): { status: number; body: unknown } {
    const hash = specHash(request);
    // What is on its way out has gone by the time somebody wants its memory.
    this.models = this.models.filter(({ status }) => status !== "unloading");
    const present = this.models.find((model) => model.id === request.model_id);
    if (present?.spec_hash === hash) return { status: 200, body: { status: "loaded", job: null } };
    this.#checkCondition(call);
    if (present !== undefined)
      throw new CortexError("spec_conflict", `${present.id} is loaded with other settings`);
    const split = this.#memory.split(request, this.models);
    if (split === undefined)
      throw new CortexError("insufficient_vram", `${request.model_id} does not fit beside what is loaded`);
    return this.#begin("load", request.model_id, () => {
      this.models = [...this.models, residentFrom(request, { hash, split })];
    });
  }

  #unload(call: RecordedCall, modelId: string): { status: number; body: unknown } {
    this.#checkCondition(call);
    if (!this.models.some((model) => model.id === modelId)) {
      throw new CortexError("model_not_found", `${modelId} is not loaded`);
    }
    return this.#begin("unload", modelId, () => {
      this.models = this.models.filter((model) => model.id !== modelId);
    });
  }

  #checkCondition(call: RecordedCall): void {
    const meddle = this.#beforeChange;
    this.#beforeChange = undefined;
    meddle?.();
    const epoch = Number(call.epoch ?? this.epoch);
    if (epoch < this.epoch) {
      const message = `the change is of epoch ${epoch}, and this neuron has seen a change of epoch ${this.epoch}`;
      throw new CortexError("stale_epoch", message);
    }
    this.epoch = epoch;
    if (call.ifMatch === undefined || call.ifMatch === `"${this.generation}"`) return;
    throw new CortexError("stale_generation", `generation is ${this.generation}, not ${call.ifMatch}`);
  }

  #begin(kind: Job["kind"], modelId: string, finish: () => void): { status: number; body: unknown } {
    const script = this.#scripts.get(modelId) ?? {};
    if ((script.busyTimes ?? 0) > 0) {
      this.#scripts.set(modelId, { ...script, busyTimes: (script.busyTimes ?? 0) - 1 });
      throw new CortexError(script.busyCode ?? "draining", `${modelId}: busy`);
    }
    const job: Job = {
      id: `job-${this.#jobs.size + 1}`,
      kind,
      model_id: modelId,
      state: kind === "load" ? "loading" : "draining",
      progress: 0,
      created_at_ms: 0,
      ended_at_ms: null,
      error: null,
    };
    this.generation += 1;
    this.#jobs.set(job.id, { job, finish, held: script.held ?? false, polls: 0 });
    return { status: 202, body: { status: "pending", job } };
  }

  #job(id: string): { status: number; body: unknown } {
    const entry = this.#jobs.get(id);
    if (entry === undefined) throw new CortexError("job_not_found", `no job ${id}`);
    if (entry.held) {
      const reports = this.#scripts.get(entry.job.model_id)?.reports ?? [{ progress: 0.5 }];
      entry.polls += 1;
      return { status: 200, body: { ...entry.job, ...reports[Math.min(entry.polls, reports.length) - 1] } };
    }
    const { jobError, unloadError } = this.#scripts.get(entry.job.model_id) ?? {};
    const error = jobError ?? (entry.job.kind === "unload" ? unloadError : undefined) ?? null;
    if (error === null && entry.job.state !== "done") {
      entry.finish();
      this.generation += 1;
    }
    entry.job = {
      ...entry.job,
      state: error === null ? "done" : "failed",
      progress: 1,
      ended_at_ms: 1,
      error,
    };
    return { status: 200, body: entry.job };
  }
}

function residentFrom(
  request: LoadRequest,
  { hash, split }: { readonly hash: string; readonly split: readonly number[] },
): ResidentModel {
  return {
    id: request.model_id,
    harness: "llama",
    status: "loaded",
    spec_hash: hash,
    devices: request.devices ?? [0],
    vram_used_mb: request.vram_mb ?? 1,
    vram_measured: true,
    device_vram_mb: [...split],
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
