import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { toCortexError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/clock.ts";
import { readBody } from "../../../platform/request-body.ts";
import { metricsText } from "../metrics-text.ts";
import { judgeHook } from "../webhook.ts";
import type { Reconciler } from "./start-reconcile.ts";

export interface ReconcileServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Shared with the git host; without it no webhook is taken. */
  readonly hookSecret: string | undefined;
  readonly branch: string;
  readonly fleet: string;
}

const MOST_BYTES = 4 * 1024 * 1024;

/** `POST /hook` for the git host, `GET /status`, `/metrics` and `/healthz` for whoever watches. */
export async function startReconcileServer(
  options: ReconcileServerOptions,
  { reconciler, clock }: { readonly reconciler: Reconciler; readonly clock: Clock },
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    void answer(request, response).catch((thrown: unknown) => {
      const { message, code, next } = toCortexError(thrown);
      send(response, { status: 400, body: { error: { code, message, next } } });
    });
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (request.method === "POST" && path === "/hook") {
      const bytes = { maxBytes: MOST_BYTES, minBytesPerSec: 1000 };
      const body = await readBody(request, bytes, clock);
      send(response, takeHook(request, body));
    } else if (request.method !== "GET")
      send(response, { status: 405, body: { error: "GET, or POST /hook" } });
    else if (path === "/status") send(response, { status: 200, body: statusOf(reconciler) });
    else if (path === "/healthz") send(response, { status: 200, body: { status: "ok" } });
    else if (path === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
      response.end(metricsText(reconciler.state(), options.fleet));
    } else send(response, { status: 404, body: { error: "GET /status, /metrics, /healthz; POST /hook" } });
  };
  const takeHook = (request: IncomingMessage, body: Buffer): Answer => {
    if (options.hookSecret === undefined)
      return { status: 403, body: { error: "no webhook is taken without --webhook-secret-file" } };
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const verdict = judgeHook({ headers, body }, options.hookSecret, options.branch);
    if (verdict === "unauthorized")
      return { status: 401, body: { error: "the signature or token is not of the shared secret" } };
    if (verdict === "push") reconciler.announcePush();
    return { status: 202, body: { taken: verdict === "push" } };
  };
  const { host, port } = options.listen;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://${host}:${bound}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const send = (response: ServerResponse, { status, body }: Answer): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
};

const statusOf = (reconciler: Reconciler): unknown => {
  const { conditions, outcome, rounds, failures, isRunning } = reconciler.state();
  return { conditions, last_round: outcome ?? null, rounds, failures_in_a_row: failures, running: isRunning };
};
