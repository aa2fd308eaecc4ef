import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseJson } from "../../../src/core/json.ts";
import { formatUsage, USAGE_HEADER, type TokenUsage } from "../../../src/protocol/headers/usage-header.ts";
import { promptOf, resetAfterComment, sendJson, sendPage, sendScripted, type Answer } from "./fake-answer.ts";
import type { Device, Job, ModelLoad, ResidentModel } from "../../../src/protocol/neuron-api.ts";

/** How the fake ends a load job. */
export type LoadScript =
  | { readonly kind: "succeed" }
  | { readonly kind: "fail"; readonly code: string; readonly message: string }
  /** Stays in `loading` until `finishLoad` is called. */
  | { readonly kind: "wait" };

/** With what the failure says beside its words. */
export interface LoadFailure extends Readonly<Record<string, unknown>> {
  readonly code: string;
  readonly message: string;
}

interface InferenceRequest {
  readonly model: string;
  readonly stream?: boolean;
  /** All of it, as it came. */
  readonly text: string;
}

export interface RecordedCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export const TEST_DEVICE: Device = {
  index: 0,
  uuid: "SIM-0",
  kind: "simulated",
  name: "Simulated 24 GiB",
  vram_total_mb: 24_576,
  compute_capability: null,
};

export interface FakeNeuronOptions {
  readonly devices?: readonly Device[];
  readonly models?: readonly ResidentModel[];
  readonly load?: LoadScript;
  readonly answer?: Answer;
  readonly port?: number;
}

export const residentModel = (id: string, changes: Partial<ResidentModel> = {}): ResidentModel => ({
  id,
  harness: "llama",
  status: "loaded",
  spec_hash: "0000000000000000",
  devices: [0],
  vram_used_mb: 1000,
  vram_measured: true,
  capabilities: ["text"],
  limit: { context: 4096, output: 1024 },
  parallel: 4,
  tool_call: true,
  reasoning: false,
  servable: { ok: true },
  origin: { kind: "manual" },
  last_used_ms: null,
  loaded_at_ms: 0,
  load_duration_ms: 1200,
  pid: null,
  ...changes,
});

/** A neuron that speaks the real wire contract over real sockets, does what it is told, and remembers every call. */
export class FakeNeuron {
  readonly calls: RecordedCall[] = [];
  readonly devices: Device[];
  readonly models = new Map<string, ResidentModel>();
  readonly loads = new Map<string, ModelLoad>();
  readonly jobs = new Map<string, Job>();
  loadScript: LoadScript;
  answer: Answer;
  /** Paths (by prefix) that get no answer at all, as on a machine that hangs. */
  silentPaths: string[] = [];
  /** Requires this bearer token when set. */
  token: string | undefined;
  draining = false;
  generation = 1;
  /** Events of a flood that have been written. */
  flooded = 0;
  /** Streams whose caller went away before they were complete. */
  abandoned = 0;
  #server: Server;
  #uptimeSecs = 1;
  #open = new Set<ServerResponse>();
  #held = new Set<ServerResponse>();
  readonly #heldWhole: (() => void)[] = [];
  #watchers = new Set<() => void>();

  private constructor(options: FakeNeuronOptions) {
    this.devices = [...(options.devices ?? [TEST_DEVICE])];
    for (const model of options.models ?? []) this.models.set(model.id, model);
    this.loadScript = options.load ?? { kind: "succeed" };
    this.answer = options.answer ?? { kind: "tokens", tokens: ["Hello", " there"] };
    this.#server = this.#makeServer();
  }

  static async start(options: FakeNeuronOptions = {}): Promise<FakeNeuron> {
    const neuron = new FakeNeuron(options);
    await neuron.#listen(options.port ?? 0);
    return neuron;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends every connection at once; `restart` brings the neuron back on the same port. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async restart(port: number): Promise<void> {
    this.#server = this.#makeServer();
    this.#uptimeSecs = 0;
    await this.#listen(port);
  }

  callsTo(method: string, path: string): RecordedCall[] {
    return this.calls.filter((call) => call.method === method && call.path.startsWith(path));
  }

  /** Resolves when the condition holds; it is looked at after everything that happens at the fake. */
  async until(condition: (neuron: FakeNeuron) => boolean): Promise<void> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  finishLoad(modelId: string, failure?: LoadFailure): void {
    for (const job of this.jobs.values()) {
      if (job.kind === "load" && job.model_id === modelId && job.ended_at_ms === null) {
        this.#endJob(job, failure);
      }
    }
  }

  /** Lets held streams end in good order. */
  release(): void {
    for (const response of this.#held) response.end("data: [DONE]\n\n");
    this.#held.clear();
    for (const answer of this.#heldWhole.splice(0)) answer();
  }

  #makeServer(): Server {
    return createServer((request, response) => {
      void this.#handle(request, response);
    });
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const path = request.url ?? "";
    const body = Buffer.concat(chunks).toString("utf8");
    this.#open.add(response);
    response.on("close", () => {
      this.#open.delete(response);
      this.#held.delete(response);
      if (!response.writableFinished) this.abandoned += 1;
      this.#changed();
    });
    this.calls.push({ method: request.method ?? "", path, headers: request.headers, body });
    this.#changed();
    if (this.silentPaths.some((silent) => path.startsWith(silent))) return;
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      sendJson(response, 401, envelope("unauthorized", "no"));
      return;
    }
    this.#route(`${request.method} ${path}`, body, response);
  }

  #route(route: string, body: string, response: ServerResponse): void {
    if (route === "GET /discovery") sendJson(response, 200, this.#discovery());
    else if (route === "GET /health") sendJson(response, 200, this.#health());
    else if (route === "GET /models") {
      sendJson(response, 200, { generation: this.generation, models: [...this.models.values()] });
    } else if (route === "POST /models/unload") this.#unload(body, response);
    else if (route === "POST /models/load")
      this.#load(JSON.parse(body) as { readonly model_id: string }, response);
    else if (route.includes(" /jobs/")) this.#job(route, response);
    else if (route.startsWith("POST /v1/")) {
      const asked = parseJson(body) as Omit<InferenceRequest, "text"> | undefined;
      if (asked === undefined) sendJson(response, 400, envelope("malformed_json", "not JSON"));
      else this.#infer({ ...asked, text: body }, response);
    } else sendJson(response, 404, envelope("route_not_found", route));
  }

  #job(route: string, response: ServerResponse): void {
    const job = this.jobs.get(route.replace(/^[A-Z]+ \/jobs\//, "").replace(/\?.*/, ""));
    if (route.startsWith("DELETE")) {
      if (job !== undefined) this.#endJob(job, { code: "job_cancelled", message: "cancelled" });
      sendJson(response, 200, job ?? {});
    } else if (job === undefined) sendJson(response, 404, envelope("job_not_found", "no such job"));
    else sendJson(response, 200, job);
  }

  /** At once, and back at once where it is to be loaded again. */
  #unload(body: string, response: ServerResponse): void {
    const { model_id: id, reload = false } = JSON.parse(body) as { model_id: string; reload?: boolean };
    const model = this.models.get(id);
    if (reload && model !== undefined) this.models.set(id, { ...model, cycles: 0 });
    else this.models.delete(id);
    this.generation += 1;
    sendJson(response, 200, { status: "unloaded", job: null });
  }

  #discovery() {
    return {
      hostname: "fake",
      os: "linux",
      kernel: "0",
      cpu_cores: 2,
      driver_version: null,
      devices: this.devices,
      harnesses: ["llama"],
      cuda_unavailable_reason: null,
      disk_free_bytes: null,
    };
  }

  #health() {
    this.#uptimeSecs += 1;
    return {
      status: this.draining ? "draining" : "ok",
      uptime_secs: this.#uptimeSecs,
      devices: this.devices.map((device) => ({
        index: device.index,
        vram_used_mb: 0,
        vram_free_mb: device.vram_total_mb,
        utilization_pct: 7,
        temp_c: 40,
      })),
      models: [...this.loads.values()],
    };
  }

  #load(spec: { readonly model_id: string }, response: ServerResponse): void {
    const id = spec.model_id;
    if (this.models.get(id)?.status === "loaded") {
      sendJson(response, 200, { status: "loaded", job: null });
      return;
    }
    const running = [...this.jobs.values()].find((job) => job.model_id === id && job.ended_at_ms === null);
    const job: Job = running ?? {
      id: `job-${this.jobs.size + 1}`,
      kind: "load",
      model_id: id,
      state: "loading",
      progress: 0.5,
      created_at_ms: 0,
      ended_at_ms: null,
      error: null,
    };
    this.jobs.set(job.id, job);
    this.models.set(id, residentModel(id, { status: "loading", load_duration_ms: null }));
    sendJson(response, 202, { status: "pending", job });
    if (this.loadScript.kind === "succeed") this.#endJob(job);
    if (this.loadScript.kind === "fail") this.#endJob(job, this.loadScript);
  }

  #endJob(job: Job, failure?: { readonly code: string; readonly message: string }): void {
    const error = failure === undefined ? null : { ...failure, next: "look at the log" };
    this.jobs.set(job.id, { ...job, state: error === null ? "done" : "failed", ended_at_ms: 1, error });
    if (error === null) this.models.set(job.model_id, residentModel(job.model_id));
    else this.models.delete(job.model_id);
    this.generation += 1;
    this.#changed();
  }

  #infer(request: InferenceRequest, response: ServerResponse): void {
    const { answer } = this;
    if (answer.kind === "reset") response.destroy();
    else if (answer.kind === "reset_after_comment") resetAfterComment(response);
    else if (answer.kind === "status") sendJson(response, answer.status, answer.body);
    else if (answer.kind === "page") sendPage(response, answer);
    else if (answer.kind === "cut_body") {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write('{"id":"half', () => response.destroy());
    } else if (answer.kind === "flood") void this.#flood(answer.events, response);
    else if (answer.kind === "raw_stream") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(answer.chunks.join(""));
    } else if (this.models.get(request.model)?.status !== "loaded") {
      sendJson(response, 404, envelope("model_not_found", `${request.model} is not loaded`));
    } else if (answer.kind === "scripted") {
      sendScripted(response, answer.reply(request.text), request.stream === true);
    } else if (answer.kind !== "hang") this.#speak(answer, request, response);
  }

  async #flood(events: number, response: ServerResponse): Promise<void> {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = `data: ${"x".repeat(64 * 1024)}\n\n`;
    for (this.flooded = 0; this.flooded < events; this.flooded += 1) {
      if (response.write(event)) continue;
      await new Promise((resolve) => response.once("drain", resolve));
    }
    response.end("data: [DONE]\n\n");
  }

  #speak(
    answer: Extract<Answer, { readonly tokens: readonly string[] }> & { readonly usage?: TokenUsage },
    request: InferenceRequest,
    response: ServerResponse,
  ): void {
    if (request.stream !== true) {
      const content = answer.tokens.join("");
      const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
      if (answer.usage !== undefined) response.setHeader(USAGE_HEADER, formatUsage(answer.usage));
      const whole = { id: "chatcmpl-1", object: "chat.completion", model: request.model, choices };
      if (answer.kind === "hold") this.#heldWhole.push(() => sendJson(response, 200, whole));
      else sendJson(response, 200, whole);
      return;
    }
    const told = answer.usage === undefined ? {} : { ...promptOf(answer.usage), trailer: USAGE_HEADER };
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", ...told });
    for (const content of answer.tokens) response.write(chunkEvent(request.model, content));
    if (answer.kind === "tokens") {
      response.write("data: [DONE]\n\n");
      if (answer.usage !== undefined) response.addTrailers({ [USAGE_HEADER]: formatUsage(answer.usage) });
      response.end();
    } else if (answer.kind === "unending") response.write("data: [DONE]\n\n");
    else if (answer.kind === "unterminated") response.end();
    else if (answer.kind === "hold") {
      response.flushHeaders();
      this.#held.add(response);
      this.#changed();
    } else response.write(answer.partial ?? ": nothing\n\n", () => response.destroy());
  }
}

export const chunkEvent = (model: string, content: string): string =>
  `data: ${JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 0,
    model,
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  })}\n\n`;

export const envelope = (code: string, message: string) => ({
  error: { message, type: "api_error", code, param: null, next: "" },
});
