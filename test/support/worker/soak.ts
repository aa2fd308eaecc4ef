import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import { workerHealthSchema, type WorkerHealth } from "../../../src/protocol/openai/chat.ts";
import { spawnWorker } from "../neuron/spawned-worker.ts";
import { tinyModelFile } from "../neuron/tiny-model.ts";

export interface SoakOptions {
  readonly requests: number;
  /** Requests at a time. */
  readonly clients: number;
  readonly seed: number;
  /** Told of every so many requests. */
  readonly onProgress?: (progress: SoakProgress) => void;
  /** Where the worker leaves snapshots of its heap on SIGUSR2: what is alive is measured after a fifth and at the end. */
  readonly snapshots?: string;
}

export interface SoakProgress {
  readonly done: number;
  readonly residentMib: number;
}

export interface SoakResult {
  readonly answered: number;
  readonly left: number;
  /** Refused because the queue was full. */
  readonly refused: number;
  /** Answers that were none, and streams without their end. */
  readonly broken: readonly string[];
  readonly health: WorkerHealth;
  /** Memory of the worker's process, over time. */
  readonly progress: readonly SoakProgress[];
  /** MiB that a full collection leaves in the heap, after a fifth and at the end; empty without `snapshots`. */
  readonly liveMib: readonly number[];
}

const SLOTS = 4;

/** Asks one worker for all that it does, and leaves one request in three, at any moment. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const worker = await spawnWorker(await tinyModelFile({ endOfText: 1 }), { parallel: SLOTS });
  const pool = new Pool("http://localhost", { socketPath: worker.socketPath, connections: options.clients });
  const random = randomNumbers(options.seed);
  const counts = { answered: 0, left: 0, refused: 0 };
  const broken: string[] = [];
  const progress: SoakProgress[] = [];
  const step = Math.max(1, Math.floor(options.requests / 10));
  const liveMib: number[] = [];
  const lookAtHeap = async (): Promise<void> => {
    if (options.snapshots === undefined) return;
    liveMib.push(await liveHeapMib(worker.child.pid ?? -1, { pool, directory: options.snapshots }));
  };
  let begun = 0;

  const client = async (): Promise<void> => {
    while (begun < options.requests) {
      begun += 1;
      const number = begun;
      const outcome = await one(pool, random);
      if (outcome in counts) counts[outcome as keyof typeof counts] += 1;
      else broken.push(outcome);
      if (number % step !== 0) continue;
      const told = { done: number, residentMib: await residentMib(worker.child.pid ?? -1) };
      progress.push(told);
      options.onProgress?.(told);
      if (number === 2 * step) await lookAtHeap();
    }
  };
  await Promise.all(Array.from({ length: options.clients }, client));
  const health = await untilIdle(pool);
  await lookAtHeap();
  await pool.close();
  await worker.stop();
  return { ...counts, broken, health, progress, liveMib };
}

/** Taking a snapshot collects all that is not alive first; the worker answers nothing meanwhile. */
async function liveHeapMib(
  pid: number,
  { pool, directory }: { readonly pool: Pool; readonly directory: string },
): Promise<number> {
  process.kill(pid, "SIGUSR2");
  let names: readonly string[] = [];
  while (names.length === 0) {
    const response = await pool.request({ method: "GET", path: "/health" });
    await response.body.dump();
    names = (await readdir(directory)).filter((name) => name.endsWith(".heapsnapshot"));
  }
  const path = join(directory, names[0] ?? "");
  // The worker is in the middle of writing it until it answers.
  await (await pool.request({ method: "GET", path: "/health" })).body.dump();
  const { snapshot, nodes } = JSON.parse(await readFile(path, "utf8")) as HeapSnapshot;
  await rm(path);
  const { node_fields: fields } = snapshot.meta;
  let bytes = 0;
  for (let at = fields.indexOf("self_size"); at < nodes.length; at += fields.length) bytes += nodes[at] ?? 0;
  return Math.round((bytes / 2 ** 20) * 10) / 10;
}

interface HeapSnapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  readonly nodes: readonly number[];
}

async function one(
  pool: Pool,
  random: () => number,
): Promise<"answered" | "left" | "refused" | (string & {})> {
  const { path, body } = aRequest(random);
  const leaves = random() < 1 / 3;
  const signal = leaves ? AbortSignal.timeout(Math.floor(random() * 60)) : null;
  try {
    const response = await pool.request({
      method: "POST",
      path,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", ...body }),
      signal,
    });
    const text = await response.body.text();
    if (response.statusCode === 503 && text.includes("queue_full")) return "refused";
    const whole = text.startsWith("{") || text.trimEnd().endsWith("data: [DONE]");
    return response.statusCode === 200 && whole
      ? "answered"
      : `${path}: HTTP ${response.statusCode}: ${text.slice(-300)}`;
  } catch (thrown) {
    return leaves ? "left" : `${path}: ${String(thrown)}`;
  }
}

const SCHEMA = {
  type: "object",
  properties: { a: { type: "integer", minimum: 0, maximum: 9 } },
  required: ["a"],
};

function aRequest(random: () => number): { readonly path: string; readonly body: object } {
  const pick = Math.floor(random() * 8);
  const content = "some words of a prompt ".repeat(1 + Math.floor(random() * 30));
  const chat = {
    messages: [{ role: "user", content }],
    max_tokens: 1 + Math.floor(random() * 60),
    temperature: 1,
    stream: random() < 0.7,
  };
  const path = "/v1/chat/completions";
  switch (pick) {
    case 0:
      return { path: "/v1/embeddings", body: { input: [content.slice(0, 200), "b"] } };
    case 1:
      return { path: "/v1/count_tokens", body: { messages: chat.messages } };
    case 2:
      return { path, body: { ...chat, n: 3 } };
    case 3:
      return { path, body: { ...chat, logprobs: true, top_logprobs: 3 } };
    case 4:
      return {
        path,
        body: {
          ...chat,
          response_format: { type: "json_schema", json_schema: { name: "x", schema: SCHEMA } },
        },
      };
    case 5:
      return {
        path: "/v1/completions",
        body: { prompt: [content, "b"], max_tokens: 12, stream: chat.stream },
      };
    default:
      return { path, body: chat };
  }
}

async function untilIdle(pool: Pool): Promise<WorkerHealth> {
  for (let look = 0; ; look += 1) {
    const response = await pool.request({ method: "GET", path: "/health" });
    const health = workerHealthSchema.parse(await response.body.json());
    if ((health.slots_busy === 0 && health.queued === 0) || look > 500) return health;
    await delay(10);
  }
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
}

/** The same numbers for the same seed, in [0, 1). */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
