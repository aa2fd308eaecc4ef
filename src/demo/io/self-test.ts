import { request } from "undici";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { present } from "../../core/present.ts";
import { askOnce } from "../../client/io/ask-once.ts";
import { startNeuron, type RunningNeuron } from "../../neuron/io/start-neuron.ts";
import type { Logger } from "../../platform/logger.ts";
import { engineVersions, gitSha, packageVersion } from "../../platform/package-paths.ts";
import type { ChatAnswer } from "../../protocol/demo-events.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import {
  estimateResponseSchema,
  healthSchema,
  modelsResponseSchema,
  type ModelSpec,
  type ResidentModel,
} from "../../protocol/neuron-api.ts";
import type { SelfTestReport } from "../../protocol/demo-events.ts";
import { judge } from "../self-test-checks.ts";

export interface SelfTestOptions {
  /** As `source` in the fleet files: a file in the model roots, or `file:` and a path. */
  readonly source: string;
  readonly modelRoots: readonly string[];
  /** Each is tried by itself, the first first. */
  readonly streams: readonly number[];
  readonly tokens: number;
}

export interface SelfTestDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** What is being done now. */
  readonly onStep: (text: string) => void;
}

const CONTEXT_TOKENS = 512;
const POLL_MS = 2;
/** Long after any slot would be free. */
const CANCELLATION_POLLS = 5000;
const FIRST = "selftest/first";
const SECOND = "selftest/second";

/**
 * Proves that this machine can serve: a neuron of its own on loopback loads a model, answers one and many clients,
 * lets go of one that leaves, holds two models on a device and gives all of it back. Throws what the neuron throws.
 */
export async function runSelfTest(options: SelfTestOptions, deps: SelfTestDeps): Promise<SelfTestReport> {
  const { clock, logger } = deps;
  const { source, modelRoots } = options;
  deps.onStep("starting a neuron");
  const neuron = await startNeuron(
    { host: "127.0.0.1", port: 0, modelRoots, gitSha: gitSha() },
    { clock, logger },
  );
  try {
    return await testNeuron(neuron, source, { ...deps, options });
  } finally {
    await neuron.close();
  }
}

interface TestDeps extends SelfTestDeps {
  readonly options: SelfTestOptions;
}

// oxlint-disable-next-line max-params -- who, what, with what
async function testNeuron(neuron: RunningNeuron, source: string, deps: TestDeps): Promise<SelfTestReport> {
  const { discovery } = neuron;
  const devices = discovery.devices.map(({ index, kind, name, vram_total_mb }) => {
    return { index, kind, name, vram_total_mb };
  });
  const cudaUnavailableReason = discovery.cuda_unavailable_reason;
  const { loadSecs, ...measured } = await measure(`http://127.0.0.1:${neuron.address.port}`, source, deps);
  const { memory, throughput, cancellationMs } = measured;
  const backend = devices.find(({ index }) => index === memory.device)?.kind ?? "unknown";
  const checks = judge({ ...measured, devices, cudaUnavailableReason, backend });
  return {
    ok: checks.every(({ ok }) => ok),
    package_version: packageVersion(),
    engine_version: engineVersions().installed,
    driver_version: discovery.driver_version,
    cuda_unavailable_reason: cudaUnavailableReason,
    devices,
    backend,
    model: source,
    load_secs: loadSecs,
    memory,
    throughput,
    cancellation_ms: cancellationMs,
    checks,
  };
}

// oxlint-disable-next-line max-params -- where, what, with what
async function measure(baseUrl: string, source: string, deps: TestDeps) {
  const { streams } = deps.options;
  const calls = new NeuronCalls(baseUrl, deps.signal);
  const client = { baseUrl, ...deps };
  const spec = (id: string) => specOf(id, source, Math.max(...streams));
  deps.onStep("loading the model");
  const estimatedMb = await calls.estimateMb(spec(FIRST));
  const before = await calls.usedMb();
  const startedMs = deps.clock.monotonicMs();
  await calls.post("/models/load?wait=1", spec(FIRST));
  const loadSecs = (deps.clock.monotonicMs() - startedMs) / 1000;
  const first = await calls.resident(FIRST);
  const device = present(first.devices[0], "the device of the model");
  const loaded = await calls.usedMb();
  const throughput: SelfTestReport["throughput"][number][] = [];
  for (const count of streams) throughput.push(await measureStreams(count, client));
  const cancellationMs = await measureCancellation(calls, client);
  deps.onStep("loading a second model beside it");
  await calls.post("/models/load?wait=1", spec(SECOND));
  const second = await calls.resident(SECOND);
  const answers = await Promise.all([FIRST, SECOND].map((model) => ask({ model, tokens: 16 }, client)));
  deps.onStep("unloading both");
  for (const id of [FIRST, SECOND]) await calls.post("/models/unload?wait=1", { model_id: id });
  const after = await calls.usedMb();
  return {
    loadSecs,
    throughput,
    cancellationMs,
    sideBySide: answers.map(({ completionTokens }) => completionTokens > 0),
    sharedDevice: second.devices.includes(device),
    memory: {
      device,
      before_mb: before.get(device) ?? 0,
      loaded_mb: loaded.get(device) ?? 0,
      after_mb: after.get(device) ?? 0,
      estimated_mb: estimatedMb,
      measured_mb: first.vram_used_mb,
    },
  };
}

const specOf = (id: string, source: string, parallel: number): Partial<ModelSpec> => ({
  model_id: id,
  source,
  context: CONTEXT_TOKENS,
  parallel,
});

interface Client extends TestDeps {
  readonly baseUrl: string;
}

function ask(
  { model, tokens }: { readonly model: string; readonly tokens: number },
  client: Client,
  heard: { readonly signal?: AbortSignal; readonly onText?: () => void } = {},
): Promise<ChatAnswer> {
  return askOnce({
    baseUrl: client.baseUrl,
    clock: client.clock,
    signal: client.signal,
    ...heard,
    body: {
      model,
      max_tokens: tokens,
      temperature: 1,
      messages: [{ role: "user", content: "What is cortex? Tell me all that you know of it." }],
    },
  });
}

async function measureStreams(count: number, client: Client): Promise<SelfTestReport["throughput"][number]> {
  client.onStep(`${count} stream${count === 1 ? "" : "s"}`);
  const startedMs = client.clock.monotonicMs();
  const { tokens } = client.options;
  const answers = await Promise.all(
    Array.from({ length: count }, () => ask({ model: FIRST, tokens }, client)),
  );
  const secs = (client.clock.monotonicMs() - startedMs) / 1000;
  const total = answers.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  const firsts = answers.map(({ firstTokenMs }) => firstTokenMs).toSorted((one, other) => one - other);
  return {
    streams: count,
    tokens_per_second: total / secs,
    first_token_ms_median: firsts[Math.floor(firsts.length / 2)] ?? 0,
  };
}

/** Leaves in the middle of an answer, and looks when nothing is at work any more. */
async function measureCancellation(calls: NeuronCalls, client: Client): Promise<number> {
  client.onStep("a client that leaves");
  const leaving = new AbortController();
  let leftMs = 0;
  const onText = (): void => {
    leftMs ||= client.clock.monotonicMs();
    leaving.abort();
  };
  await ask({ model: FIRST, tokens: CONTEXT_TOKENS }, client, { signal: leaving.signal, onText }).catch(
    (thrown: unknown) => {
      if (!leaving.signal.aborted) throw thrown;
    },
  );
  for (let poll = 0; poll < CANCELLATION_POLLS; poll += 1) {
    if ((await calls.inFlight(FIRST)) === 0) return client.clock.monotonicMs() - leftMs;
    await client.clock.sleep(POLL_MS, client.signal);
  }
  throw new CortexError("internal_error", "the slot of a client that left was never free again");
}

/** The neuron as its controller calls it. */
class NeuronCalls {
  readonly baseUrl: string;
  readonly signal: AbortSignal;

  constructor(baseUrl: string, signal: AbortSignal) {
    this.baseUrl = baseUrl;
    this.signal = signal;
  }

  async post(path: string, body: unknown): Promise<unknown> {
    const { statusCode, body: answer } = await request(this.baseUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: this.signal,
    });
    const text: unknown = await answer.json();
    if (statusCode >= 400) throw fromErrorResponse(statusCode, text, "upstream_connection_error");
    return text;
  }

  async #get(path: string): Promise<unknown> {
    const { body } = await request(this.baseUrl + path, { signal: this.signal });
    return body.json();
  }

  async estimateMb(spec: Partial<ModelSpec>): Promise<number> {
    const { estimates } = estimateResponseSchema.parse(await this.post("/models/estimate", spec));
    const [estimate] = estimates;
    return estimate !== undefined && "vram_mb" in estimate ? estimate.vram_mb : 0;
  }

  /** By device. */
  async usedMb(): Promise<ReadonlyMap<number, number>> {
    const { devices } = healthSchema.parse(await this.#get("/health"));
    return new Map(devices.map((device) => [device.index, device.vram_used_mb]));
  }

  async inFlight(id: string): Promise<number> {
    const { models } = healthSchema.parse(await this.#get("/health"));
    return models.find((model) => model.id === id)?.in_flight ?? 0;
  }

  async resident(id: string): Promise<ResidentModel> {
    const { models } = modelsResponseSchema.parse(await this.#get("/models"));
    return present(
      models.find((model) => model.id === id),
      "the model that was loaded",
      id,
    );
  }
}
