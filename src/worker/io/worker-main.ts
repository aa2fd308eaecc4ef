import { flushCompileCache } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { toCortexError } from "../../core/errors.ts";
import { readEnvironment, setVariables } from "../../platform/environment.ts";
import { createLogger } from "../../platform/logger.ts";
import { systemClock } from "../../platform/system-clock.ts";
import {
  supervisorMessageSchema,
  WORKER_PROTOCOL,
  type WorkerFacts,
  type WorkerIdentity,
  type WorkerMessage,
  type WorkerStart,
} from "../../protocol/worker-messages.ts";
import type { InferenceEngine } from "../engine/inference-engine.ts";
import { loadLlamaEngine } from "../engine/io/llama-engine.ts";
import { loadVocabularyEngine } from "../engine/io/llama-vocabulary-engine.ts";
import { Guardians } from "./guardians.ts";
import { startWorkerServer, type WorkerServer } from "./worker-server.ts";

/**
 * The model worker's process: one model, spawned by a neuron with an IPC channel. When the channel closes while it
 * loads it exits at once. Once it is loaded it may outlive its neuron for a while, so that a neuron that is upgraded or
 * killed finds its models as they were (`Guardians`).
 */
const STOP_GRACE_MS = 1500;

const logger = createLogger({ name: "worker", level: readEnvironment().logLevel ?? "info" });
let engine: InferenceEngine | undefined;
let server: WorkerServer | undefined;
let started = false;
let stopping = false;
/** Gives up the hold of the neuron that started this process; until the model is loaded there is none. */
let releaseParent: (() => void) | undefined;

function send(message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    // A channel that is closed has nobody to tell; "disconnect" ends the process.
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

async function start(message: WorkerStart): Promise<void> {
  if (started) return;
  started = true;
  setVariables(message.device_environment ?? {});
  try {
    engine = await loadEngine(message);
    const loaded = engine;
    const graceMs = message.orphan_grace_ms ?? 0;
    const guardians = new Guardians({
      clock: systemClock,
      graceMs,
      onAbandoned: () => void abandoned(graceMs),
    });
    server = await startWorkerServer({
      engine: loaded,
      modelId: message.model_id,
      socketPath: message.socket_path,
      clock: systemClock,
      logger,
      supervision: { identity: () => identityOf(message, loaded.facts), guardians, stop: () => void stop() },
    });
    if (graceMs > 0 && process.connected) releaseParent = guardians.add();
    await send({ kind: "model-loaded", facts: engine.facts });
    logger.info({ model: message.model_id, facts: engine.facts }, "model loaded");
    // Node does it at the end of a process, and a worker that is killed has none.
    flushCompileCache();
  } catch (thrown) {
    const error = toCortexError(thrown);
    const code = error.code === "internal_error" ? "load_failed" : error.code;
    logger.error({ err: thrown, model: message.model_id }, "model not loaded");
    const { next, param } = error;
    await send({ kind: "load-failed", code, message: error.message, next, param });
    process.exit(1);
  }
}

function loadEngine(message: WorkerStart): Promise<InferenceEngine> {
  const file = { modelPath: message.model_path, contextTokens: message.context, logger };
  if (message.vocabulary_only === true) return loadVocabularyEngine(file);
  return loadLlamaEngine({
    ...file,
    parallel: message.parallel,
    gpu: message.gpu,
    settings: message,
    threads: message.threads,
    calibrations: message.calibrations,
    hibernation: message.hibernation,
    onProgress: (fraction) =>
      void send({ kind: "load-progressed", fraction: Math.min(1, Math.max(0, fraction)) }),
    onCalibrated: (calibrated) => void send({ kind: "calibrated", ...calibrated }),
    clock: systemClock,
  });
}

const identityOf = (message: WorkerStart, facts: WorkerFacts): WorkerIdentity => ({
  protocol: WORKER_PROTOCOL,
  instance: message.instance ?? "",
  spec_hash: message.spec_hash ?? "",
  model_id: message.model_id,
  pid: process.pid,
  facts,
});

async function abandoned(graceMs: number): Promise<void> {
  logger.info({ graceSecs: graceMs / 1000 }, "no neuron came back for this model: it is unloaded");
  await stop();
}

/**
 * Clients in flight get their error, conversations are kept where that is wanted, then the process ends; the driver
 * takes back every byte.
 */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  const timeout = delay(STOP_GRACE_MS);
  await Promise.race([server?.stop(), timeout]).catch((thrown: unknown) => {
    logger.warn({ err: thrown }, "the server did not close cleanly");
  });
  await engine?.hibernate().catch((thrown: unknown) => {
    logger.warn({ err: thrown }, "conversations were not kept");
  });
  process.exit(0);
}

process.on("message", (received) => {
  const parsed = supervisorMessageSchema.safeParse(received);
  if (!parsed.success) {
    logger.error({ issues: parsed.error.issues }, "message from the neuron was not understood");
    return;
  }
  void (parsed.data.kind === "start-worker" ? start(parsed.data) : stop());
});
process.on("disconnect", () => {
  if (releaseParent === undefined) process.exit(0);
  releaseParent();
});
// A terminal sends its interrupt to the whole group; the neuron decides what becomes of its workers.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => void stop());

// What native code writes is for this user only.
process.umask(0o077);
if (process.send === undefined) {
  logger.error("a worker is started by a neuron, which talks to it over an IPC channel");
  process.exitCode = 64;
}
