import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { Logger } from "../../platform/logger.ts";
import { createHttpServer, type Refusal } from "../../platform/http-server.ts";
import { dialectErrorResponse } from "../dialect/dialect-routes.ts";
import { canonicalPath } from "../front/request-path.ts";
import { corsHeaders, preflightHeaders, refusalOf } from "../front/who-may-ask.ts";
import { isUsableRequestId } from "../relay/header-policy.ts";
import type { RequestRate } from "../request-rate.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import { UNKNOWN_MODEL, type GatewayMetrics } from "./gateway-metrics.ts";

export interface EdgeDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly metrics: GatewayMetrics;
  readonly connectionsRefused: RequestRate;
  /** True once close() was called: new requests are refused while old ones end. */
  readonly closing: () => boolean;
}

/** The server as clients meet it, without its routes: who may ask, in which form, and what becomes of a refusal. */
export function createClientEdge(
  deps: EdgeDeps,
  identify: (request: FastifyRequest, reply: FastifyReply) => void,
): FastifyInstance {
  const { fleet } = deps;
  const server = createHttpServer({
    clock: deps.clock,
    logger: deps.logger,
    errorResponse: dialectErrorResponse,
    headTimeoutMs: fleet.gateway.limits.head_secs * 1000,
    maxConnections: () => fleet.gateway.limits.connections,
    bodyLimits: () => ({
      maxBytes: fleet.gateway.limits.body_mb * MIB_BYTES,
      minBytesPerSec: fleet.gateway.limits.body_bytes_per_sec,
    }),
    rewritePath: canonicalPath,
    onRefusal: (refusal) => {
      reportRefusal(refusal, deps);
    },
  });
  server.addHook("onRequest", (request, reply, done) => {
    const given = request.headers["x-request-id"];
    request.id = isUsableRequestId(given) ? given : randomUUID();
    reply.header("x-request-id", request.id);
    reply.headers(corsHeaders(request.headers.origin, fleet.gateway));
    const refusal = refusalNow(request, deps);
    if (deps.closing()) reply.header("connection", "close");
    if (refusal !== null) {
      done(refusal);
      return;
    }
    // What a browser asks before a request carries no key.
    if (request.method !== "OPTIONS") identify(request, reply);
    done();
  });
  return server;
}

function refusalNow(request: FastifyRequest, deps: EdgeDeps): CortexError | null {
  const { host, origin } = request.headers;
  const { httpVersion } = request.raw;
  const refused = refusalOf({ host, origin, httpVersion }, deps.fleet.gateway);
  if (refused !== null || !deps.closing()) return refused;
  return new CortexError("draining", "the gateway is shutting down");
}

/** One line and one count for each, whatever it was refused for; a client's fault is no defect of ours. */
function reportRefusal({ error, requestId, method, path }: Refusal, deps: EdgeDeps): void {
  if (error.code === "too_many_connections") deps.connectionsRefused.count(deps.clock.monotonicMs());
  const { status } = dialectErrorResponse(error, path);
  const labels = { model: UNKNOWN_MODEL, node: "" };
  deps.metrics.requests.inc({ ...labels, status: String(status) });
  deps.metrics.requestErrors.inc({ ...labels, code: error.code });
  const shown = path.length > 200 ? `${path.slice(0, 200)}...` : path;
  deps.logger.info(
    { request_id: requestId, method, route: shown, status, code: error.code, reason: error.message },
    "request refused",
  );
}

/** The other methods of a route: OPTIONS says what is allowed, to browsers in their own form; the rest is refused. */
export function answerOtherMethods(
  server: FastifyInstance,
  url: string,
  { allowed, deps }: { readonly allowed: string; readonly deps: EdgeDeps },
): void {
  const listed = allowed.split(", ");
  server.route({
    method: ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => !listed.includes(method)),
    url,
    handler: (request, reply) => {
      reply.header("allow", allowed);
      throw new CortexError("method_not_allowed", `${request.method} is not allowed for ${url}`);
    },
  });
  server.options(url, (request, reply) =>
    answerOptions(request, reply.header("allow", `${allowed}, OPTIONS`), deps),
  );
}

function answerOptions(request: FastifyRequest, reply: FastifyReply, deps: EdgeDeps): FastifyReply {
  const asked = request.headers["access-control-request-headers"];
  const { origin } = request.headers;
  return reply
    .status(204)
    .headers(preflightHeaders({ origin, headers: asked }, deps.fleet.gateway))
    .send();
}
