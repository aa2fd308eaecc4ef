import { hasEnded } from "../end-process.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "undici";
import {
  workerMessageSchema,
  type WorkerFacts,
  type WorkerMessage,
  type WorkerStart,
} from "../../../src/protocol/worker-messages.ts";

const WORKER_MAIN = new URL("../../../src/worker/io/worker-main.ts", import.meta.url).pathname;

export interface SpawnedWorker {
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly facts: WorkerFacts;
  readonly client: Client;
  stop(): Promise<void>;
}

export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly messages: readonly WorkerMessage[];
  /** The first message that ends a start; rejects when the process ends without one. */
  readonly settled: Promise<WorkerMessage>;
  readonly stderr: () => string;
}

/** A real worker process that was told to load `modelPath`. */
export async function startWorkerProcess(
  modelPath: string,
  overrides: Partial<WorkerStart> = {},
): Promise<WorkerProcess> {
  const directory = await mkdtemp(join(tmpdir(), "cortex-worker-"));
  const socketPath = join(directory, "worker.sock");
  const child = spawn(process.execPath, [WORKER_MAIN], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  let stderr = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  child.stdout?.resume();
  child.once("exit", () => void rm(directory, { recursive: true, force: true }));
  const messages: WorkerMessage[] = [];
  const settled = new Promise<WorkerMessage>((resolve, reject) => {
    child.on("message", (received) => {
      const message = workerMessageSchema.parse(received);
      messages.push(message);
      if (message.kind !== "load-progressed") resolve(message);
    });
    child.once("exit", (code) => reject(new Error(`worker ended with ${code}: ${stderr}`)));
  });
  child.send({
    kind: "start-worker",
    socket_path: socketPath,
    model_path: modelPath,
    model_id: "tiny",
    parallel: 1,
    gpu: false,
    ...overrides,
  });
  return { child, socketPath, messages, settled, stderr: () => stderr };
}

/** A worker that is ready to answer. */
export async function spawnWorker(
  modelPath: string,
  overrides: Partial<WorkerStart> = {},
): Promise<SpawnedWorker> {
  const started = await startWorkerProcess(modelPath, overrides);
  const message = await started.settled;
  if (message.kind !== "model-loaded") throw new Error(`not ready: ${JSON.stringify(message)}`);
  const client = new Client("http://localhost", { socketPath: started.socketPath, pipelining: 0 });
  return {
    child: started.child,
    socketPath: started.socketPath,
    facts: message.facts,
    client,
    stop: async () => {
      await client.destroy();
      if (hasEnded(started.child)) return;
      const ended = once(started.child, "exit");
      started.child.send({ kind: "stop-worker" });
      await ended;
    },
  };
}
