import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { startNeuron, type NeuronConfig, type NeuronDeps } from "../../../src/neuron/io/start-neuron.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import {
  modelsResponseSchema,
  type ChangeResponse,
  type Job,
  type ModelsResponse,
} from "../../../src/protocol/neuron-api.ts";
import { fakeWorkerEntry } from "./fake-worker-model.ts";

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface WireError {
  readonly error: { readonly code: string; readonly message: string; readonly next: string } & Record<
    string,
    unknown
  >;
}

/** Tests fetch from nowhere but this machine. */
const NO_HUB = { endpoint: "http://127.0.0.1:9", token: undefined };

/** A neuron on a free port with its own model store, and the few calls that tests make. */
export async function startTestNeuron(config: Partial<NeuronConfig> = {}, deps: Partial<NeuronDeps> = {}) {
  const store = await mkdtemp(join(tmpdir(), "cortex-test-store-"));
  const neuron = await startNeuron(
    {
      host: "127.0.0.1",
      port: 0,
      modelRoots: [store],
      nvidiaSmi: "no-such-nvidia-smi",
      hub: NO_HUB,
      ...config,
    },
    { clock: systemClock, logger: pino({ level: "silent" }), workerEntry: fakeWorkerEntry, ...deps },
  );
  const base = `http://127.0.0.1:${neuron.address.port}`;
  const call = async <Body = WireError>(
    path: string,
    init: {
      readonly method?: string;
      readonly json?: unknown;
      readonly headers?: Record<string, string>;
    } = {},
  ): Promise<Answer<Body>> => {
    const response = await fetch(base + path, {
      method: init.method ?? (init.json === undefined ? "GET" : "POST"),
      headers: {
        ...(init.json === undefined ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
      ...(init.json === undefined ? {} : { body: JSON.stringify(init.json) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as Body,
    };
  };
  return {
    base,
    store,
    neuron,
    call,
    /** Waits for the load by default. */
    load: <Body = ChangeResponse>(spec: Record<string, unknown>, headers: Record<string, string> = {}) =>
      call<Body>("/models/load?wait=1", { json: spec, headers }),
    unload: <Body = ChangeResponse>(request: Record<string, unknown>, headers: Record<string, string> = {}) =>
      call<Body>("/models/unload?wait=1", { json: request, headers }),
    models: async (): Promise<ModelsResponse> => modelsResponseSchema.parse((await call("/models")).body),
    job: async (id: string): Promise<Job> => (await call<Job>(`/jobs/${id}`)).body,
    /** An inference request whose answer the test reads itself. */
    chat: (body: Record<string, unknown>, signal?: AbortSignal) =>
      fetch(`${base}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
    [Symbol.asyncDispose]: async () => {
      await neuron.close({ drainTimeoutMs: 0 });
      await rm(store, { recursive: true, force: true });
    },
  };
}

export type TestNeuron = Awaited<ReturnType<typeof startTestNeuron>>;

/** Reads an answer to its end, or to where it breaks. */
export async function readToTheEnd(
  response: Response,
): Promise<{ readonly text: string; readonly broken: boolean }> {
  let text = "";
  try {
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += part;
    return { text, broken: false };
  } catch {
    return { text, broken: true };
  }
}
