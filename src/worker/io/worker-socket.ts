import { chmod, lstat, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { FastifyInstance } from "fastify";
import { listen } from "../../platform/http-server.ts";
import { WORKER_ROUTES, type WorkerIdentity } from "../../protocol/worker-messages.ts";
import type { Guardians } from "./guardians.ts";

/** What a later neuron needs to take the worker over. */
export interface WorkerSupervision {
  readonly identity: () => WorkerIdentity;
  readonly guardians: Guardians;
  readonly stop: () => void;
}

/** Listens where only this user can connect. */
export async function listenOnSocket(server: FastifyInstance, socketPath: string): Promise<void> {
  await removeStaleSocket(socketPath);
  // The socket must never exist with a wider mode, not even for the moment before a chmod.
  const previousMask = process.umask(0o177);
  try {
    await listen(server, { socketPath });
  } finally {
    process.umask(previousMask);
  }
  await chmod(socketPath, 0o600);
}

/** A socket that nobody listens on is what a worker that was killed left behind. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true && !(await isListening(path))) await rm(path, { force: true });
}

const isListening = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });

// oxlint-disable-next-line max-params -- where, what, and what a stop must end
export function addSupervisionRoutes(
  server: FastifyInstance,
  { identity, guardians, stop }: WorkerSupervision,
  holds: Set<ServerResponse>,
): void {
  server.get(WORKER_ROUTES.identity, () => identity());
  server.get(WORKER_ROUTES.hold, { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack();
    const release = guardians.add();
    holds.add(reply.raw);
    reply.raw.once("close", () => {
      holds.delete(reply.raw);
      release();
    });
    reply.raw.writeHead(200, { "content-type": "text/plain" });
    reply.raw.flushHeaders();
  });
  server.post(WORKER_ROUTES.stop, (_request, reply) => {
    reply.raw.once("finish", stop);
    return { status: "stopping" };
  });
}
