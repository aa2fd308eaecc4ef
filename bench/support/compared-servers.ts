import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { start, type Served } from "./served-process.ts";

const CORTEX = fileURLToPath(new URL("../../bin/run.js", import.meta.url));
export const MODEL = "bench-model";

export interface ComparedOptions {
  /** A GGUF file. */
  readonly model: string;
  readonly slots: number;
  readonly contextTokens: number;
  /** The binary of llama.cpp's own server. */
  readonly llamaServer: string | undefined;
  readonly threads: number;
  /** Whether cortex computes with `threads` too, or with as many as it chooses (the default). */
  readonly cortexThreads?: "same" | "chosen" | "both";
  /** Another built checkout of cortex to compare with. */
  readonly before?: string | undefined;
  /** Also with the number of threads that it takes by itself. */
  readonly defaultThreads: boolean;
}

export interface Compared {
  readonly name: string;
  readonly isCortex: boolean;
  /** What its model is to be loaded with; cortex only. */
  readonly loadThreads?: number;
  start(): Promise<Served>;
}

const threadsIn = (threads: number): string => `${threads} ${threads === 1 ? "thread" : "threads"}`;

/** Cortex as its clients see a neuron, and llama.cpp's own server with the same threads and with its default. */
export function comparedServers(options: ComparedOptions): readonly Compared[] {
  const { llamaServer, threads, cortexThreads = "chosen" } = options;
  const chosen: Compared = { name: "cortex", isCortex: true, start: () => startCortex(options, CORTEX) };
  const same: Compared = { ...chosen, name: `cortex, ${threadsIn(threads)}`, loadThreads: threads };
  const now = { same: [same], chosen: [chosen], both: [same, chosen] }[cortexThreads];
  const { before: program } = options;
  const before =
    program === undefined
      ? []
      : now.map((one) => ({
          ...one,
          name: `${one.name}, before`,
          start: () => startCortex(options, resolve(program, "bin/run.js")),
        }));
  const cortex = [...now, ...before];
  if (llamaServer === undefined) return cortex;
  const fixed: Compared = {
    name: `llama-server, ${threadsIn(threads)}`,
    isCortex: false,
    start: () => startLlama(options, ["-t", String(threads), "-tb", String(threads)]),
  };
  const free: Compared = {
    name: "llama-server, its default",
    isCortex: false,
    start: () => startLlama(options, []),
  };
  return options.defaultThreads ? [...cortex, fixed, free] : [...cortex, fixed];
}

/** Loads the model and waits until it is ready; cortex only. */
export async function loadModel({ base }: Served, options: ComparedOptions, threads?: number): Promise<void> {
  const answer = await fetch(`${base}/models/load?wait=1`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model_id: MODEL,
      source: `file:${options.model}`,
      context: options.contextTokens,
      parallel: options.slots,
      threads,
    }),
  });
  if (!answer.ok) throw new Error(`the model was not loaded: ${await answer.text()}`);
}

export async function unloadModel({ base }: Served): Promise<void> {
  const answer = await fetch(`${base}/models/unload?wait=1`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_id: MODEL }),
  });
  if (!answer.ok) throw new Error(`the model was not unloaded: ${await answer.text()}`);
}

async function startCortex({ model }: ComparedOptions, program: string): Promise<Served> {
  const port = await freePort();
  const command = [process.execPath, program, "neuron", "--port", String(port), "--log-level", "warn"];
  return start("cortex", [...command, "--model-root", dirname(model)], {
    port,
    env: { CORTEX_DATA_DIR: mkdtempSync(join(tmpdir(), "cortex-bench-")) },
  });
}

async function startLlama(options: ComparedOptions, more: readonly string[]): Promise<Served> {
  const port = await freePort();
  const context = String(options.slots * options.contextTokens);
  const size = ["-np", String(options.slots), "-c", context, "--no-ui", "--alias", MODEL];
  const where = ["-m", options.model, "--host", "127.0.0.1", "--port", String(port)];
  return start("llama-server", [options.llamaServer ?? "", ...where, ...size, ...more], { port });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
