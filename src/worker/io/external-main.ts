import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { toCortexError } from "../../core/errors.ts";
import { readEnvironment, setVariables } from "../../platform/environment.ts";
import { createLogger } from "../../platform/logger.ts";
import { systemClock } from "../../platform/system-clock.ts";
import {
  supervisorMessageSchema,
  WORKER_PROTOCOL,
  type WorkerMessage,
  type WorkerStart,
} from "../../protocol/worker-messages.ts";
import { createExternalServer, type ExternalServer } from "../external/io/external-server.ts";
import { startExternalEngine, type RunningExternal } from "../external/io/external-engine.ts";
import { Guardians } from "./guardians.ts";
import { addSupervisionRoutes, listenOnSocket } from "./worker-socket.ts";

/**
 * The worker of a model that an external engine holds: to its neuron it is a worker like any other, with the same
 * messages, the same socket and the same life beyond its neuron. It ends when the engine does, and takes an engine that
 * it has started along.
 */
const STOP_GRACE_MS = 1500;

const logger = createLogger({ name: "worker", level: readEnvironment().logLevel ?? "info" });
const holds = new Set<ServerResponse>();
let engine: RunningExternal | undefined;
let server: ExternalServer | undefined;
let starting: Promise<RunningExternal> | undefined;
let stopping = false;
let releaseParent: (() => void) | undefined;

function send(message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

async function start(message: WorkerStart): Promise<void> {
  if (starting !== undefined) return;
  setVariables(message.device_environment ?? {});
  starting = startExternalEngine(message, {
    clock: systemClock,
    logger,
    environment: readEnvironment().inherited,
  });
  try {
    engine = await starting;
    await serve(message, engine);
    await send({ kind: "model-loaded", facts: engine.facts });
    logger.info({ model: message.model_id, facts: engine.facts }, "engine is ready");
    void engine.lost.then(onLost);
  } catch (thrown) {
    if (stopping) return;
    const error = toCortexError(thrown);
    const code = error.code === "internal_error" ? "load_failed" : error.code;
    logger.error({ code, reason: error.message, model: message.model_id }, "engine is not ready");
    const { next, param, details } = error;
    await send({ kind: "load-failed", code, message: error.message, next, param, details });
    process.exit(1);
  }
}

async function serve(message: WorkerStart, running: RunningExternal): Promise<void> {
  const graceMs = message.orphan_grace_ms ?? 0;
  const guardians = new Guardians({
    clock: systemClock,
    graceMs,
    onAbandoned: () => {
      logger.info({ graceSecs: graceMs / 1000 }, "no neuron came back for this model: it is unloaded");
      void stop(0);
    },
  });
  server = createExternalServer(running, logger);
  const identity = () => ({
    protocol: WORKER_PROTOCOL,
    instance: message.instance ?? "",
    spec_hash: message.spec_hash ?? "",
    model_id: message.model_id,
    pid: process.pid,
    facts: running.facts,
  });
  addSupervisionRoutes(server.http, { identity, guardians, stop: () => void stop(0) }, holds);
  await listenOnSocket(server.http, message.socket_path);
  if (graceMs > 0 && process.connected) releaseParent = guardians.add();
}

function onLost(reason: string): void {
  if (stopping) return;
  logger.error({ reason }, "engine lost");
  void stop(1);
}

/** Clients in flight get their error, then the engine is told to go. */
async function stop(exitCode: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  server?.abort();
  for (const hold of holds) hold.end();
  await Promise.race([server?.http.close(), delay(STOP_GRACE_MS)]).catch(() => undefined);
  await engine?.stop();
  process.exit(exitCode);
}

process.on("message", (received) => {
  const parsed = supervisorMessageSchema.safeParse(received);
  if (!parsed.success) {
    logger.error({ issues: parsed.error.issues }, "message from the neuron was not understood");
    return;
  }
  if (parsed.data.kind === "start-worker") void start(parsed.data);
  else void stopAnyTime();
});

/** An engine that is still starting is not asked to end in order: its group is ended by the neuron. */
async function stopAnyTime(): Promise<void> {
  if (engine === undefined) endGroup();
  else await stop(0);
}

process.on("disconnect", () => {
  if (releaseParent !== undefined) releaseParent();
  else endGroup();
});

/** This process leads its group, where the engine is too. */
function endGroup(): void {
  stopping = true;
  process.removeAllListeners("SIGTERM");
  process.on("SIGTERM", () => undefined);
  try {
    process.kill(-process.pid, "SIGTERM");
  } catch {
    // No leader of a group: started by hand, without an engine to end.
  }
  process.exit(0);
}

process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => void stopAnyTime());

process.umask(0o077);
if (process.send === undefined) {
  logger.error("a worker is started by a neuron, which talks to it over an IPC channel");
  process.exitCode = 64;
}
