import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { Logger } from "../../platform/logger.ts";
import { createHttpServer, type HttpServerOptions, type Refusal } from "../../platform/http-server.ts";
import type { BodyLimits } from "../../platform/request-body.ts";
import { dialectErrorResponse } from "../dialect/dialect-routes.ts";
import type { RequestHead } from "../front/io/request-head.ts";
import { canonicalPath } from "../front/request-path.ts";
import { corsHeaders, preflightHeaders, refusalOf } from "../front/who-may-ask.ts";
import type { ResponseOutlet } from "../relay/io/response-outlet.ts";
import { isUsableRequestId } from "../relay/header-policy.ts";
import type { RequestRate } from "../request-rate.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import { FORWARDED_PATH } from "../crew/io/forward-reads.ts";
import { PAGE_PATHS } from "../page/io/read-page.ts";
import type { KeyRing, Principal } from "../keys/key-ring.ts";
import { UNKNOWN_MODEL, type GatewayMetrics } from "./gateway-metrics.ts";

export interface EdgeDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly metrics: GatewayMetrics;
  readonly connectionsRefused: RequestRate;
  /** Those that count with this process's own, where several serve clients; null: nobody's are limited here. */
  readonly connectionsElsewhere?: (() => number) | null;
  /** True once close() was called: new requests are refused while old ones end. */
  readonly closing: () => boolean;
}

/** The server as clients meet it, without its routes: who may ask, in which form, and what becomes of a refusal. */
export function createClientEdge(
  deps: EdgeDeps,
  {
    identify,
    inFront,
    door,
  }: Required<Pick<HttpServerOptions, "inFront" | "door">> & {
    readonly identify: (request: FastifyRequest) => void;
  },
): FastifyInstance {
  const { fleet } = deps;
  const server = createHttpServer({
    clock: deps.clock,
    logger: deps.logger,
    errorResponse: refusalResponse,
    headTimeoutMs: fleet.gateway.limits.head_secs * 1000,
    maxConnections: () => (deps.connectionsElsewhere === null ? Infinity : fleet.gateway.limits.connections),
    connectionsElsewhere: deps.connectionsElsewhere ?? undefined,
    bodyLimits: () => bodyLimitsOf(deps),
    rewritePath: canonicalPath,
    inFront,
    door,
    onRefusal: (refusal) => {
      reportRefusal(refusal, deps);
    },
  });
  server.addHook("onRequest", (request, reply, done) => {
    const { requestId, ownHeaders, refusal } = beginRequest(request.raw, deps);
    request.id = requestId;
    reply.headers(ownHeaders);
    if (refusal !== null) {
      done(refusal);
      return;
    }
    // What a browser asks before a request carries no key.
    if (request.method !== "OPTIONS") identify(request);
    done();
  });
  return server;
}

export const bodyLimitsOf = ({ fleet }: Pick<EdgeDeps, "fleet">): BodyLimits => ({
  maxBytes: fleet.gateway.limits.body_mb * MIB_BYTES,
  minBytesPerSec: fleet.gateway.limits.body_bytes_per_sec,
});

/** What is known of a request by its head. */
export interface BegunRequest {
  readonly requestId: string;
  /** What the gateway itself says beside every answer to it. */
  readonly ownHeaders: Readonly<Record<string, string>>;
  /** Why it is not listened to; null: it is. */
  readonly refusal: CortexError | null;
}

export function beginRequest(request: RequestHead, deps: EdgeDeps): BegunRequest {
  const { "x-request-id": given, origin } = request.headers;
  const requestId = isUsableRequestId(given) ? given : randomUUID();
  const ownHeaders: Record<string, string> = { "x-request-id": requestId };
  if (origin !== undefined) Object.assign(ownHeaders, corsHeaders(origin, deps.fleet.gateway));
  if (deps.closing()) ownHeaders["connection"] = "close";
  return { requestId, ownHeaders, refusal: refusalNow(request, deps) };
}

/** With what HTTP has to say of some. */
function refusalResponse(error: CortexError, url?: string): ReturnType<typeof dialectErrorResponse> {
  const response = dialectErrorResponse(error, url);
  if (error.code === "unauthorized") {
    return { ...response, headers: { ...response.headers, "www-authenticate": 'Bearer realm="cortex"' } };
  }
  if (error.code === "request_timeout") {
    return { ...response, headers: { ...response.headers, connection: "close" } };
  }
  return response;
}

interface RefusedRequest extends BegunRequest {
  readonly request: RequestHead;
  readonly response: ResponseOutlet;
  /** As it is routed. */
  readonly path: string;
}

/** The answer to a request that came in front of the framework, and that nothing was begun for. */
export function answerRefusal(thrown: unknown, refused: RefusedRequest, deps: EdgeDeps): void {
  const { request, response, requestId, ownHeaders, path } = refused;
  const error = toCortexError(thrown);
  const method = "POST";
  if (error.code === "internal_error") {
    deps.logger.error({ err: thrown, method, route: path }, "request failed");
  }
  const asked = (request.url ?? path).split("?")[0] ?? path;
  reportRefusal({ error, requestId, method, path: asked }, deps);
  // It failed after its answer was begun: what there is of it must not look whole.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, headers, body } = refusalResponse(error, path);
  const bytes = Buffer.from(JSON.stringify(body));
  response.on("error", () => undefined);
  response.writeHead(status, {
    ...ownHeaders,
    ...headers,
    "content-type": "application/json; charset=utf-8",
    "content-length": bytes.length,
  });
  response.end(bytes);
}

function refusalNow(request: RequestHead, deps: EdgeDeps): CortexError | null {
  const { host, origin } = request.headers;
  const { httpVersion } = request;
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

const PRINCIPAL = "principal";

export const decoratePrincipal = (server: FastifyInstance): void => {
  server.decorateRequest(PRINCIPAL, null);
};

/**
 * What a load balancer or a supervisor asks for without a key, and the files of the page, which hold nothing of the fleet:
 * a browser opens them before anybody can give it a key. What a worker forwards is for the owner to judge.
 */
const OPEN_ROUTES: ReadonlySet<string> = new Set(["/", "/health", "/ready", ...PAGE_PATHS, FORWARDED_PATH]);

/** Before the body is read: whoever has no key is not listened to for long. */
export function identify(request: FastifyRequest, keys: KeyRing): void {
  const path = request.routeOptions.url;
  if (path !== undefined && OPEN_ROUTES.has(path)) return;
  request.setDecorator(PRINCIPAL, keys.identify(request.headers));
}

export const principalOf = (request: FastifyRequest): Principal => request.getDecorator<Principal>(PRINCIPAL);
