import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MIB_BYTES } from "../../core/quantities.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { present } from "../../core/present.ts";
import type { GatewayVersion } from "../../protocol/gateway-api.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { isForm } from "../../protocol/openai/form-body.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { INFERENCE_ROUTES } from "../../protocol/openai/inference-routes.ts";
import { fleetState, gatewayHealth, type StatusSources } from "../fleet-status.ts";
import { modelEntries } from "../model-list.ts";
import { corsHeaders } from "../front/who-may-ask.ts";
import { scanBody } from "../front/io/scan-body.ts";
import {
  readFormFacts,
  readMediaFacts,
  readRequestFacts,
  requireJsonType,
  type RequestFacts,
} from "../front/request-facts.ts";
import { knownModelId } from "../routing/route-request.ts";
import { mayUse, requireAdmin, type KeyRing, type Principal } from "../keys/key-ring.ts";
import { AnswerShelf } from "../dialect/contract/answer-shelf.ts";
import type { DialectRoute } from "../dialect/contract/dialect.ts";
import { toAnthropicModel, toAnthropicModels } from "../dialect/anthropic/model-list.ts";
import { DIALECT_ROUTES } from "../dialect/dialect-routes.ts";
import type { TranslationThread } from "../dialect/io/translation-thread.ts";
import { TranslatedResponse } from "../dialect/io/translated-response.ts";
import { ClientResponse, type AnswerSink } from "../relay/io/client-response.ts";
import { pageAnswer, type PageFiles } from "../page/page-answer.ts";
import { PAGE_PATHS, readPage } from "../page/io/read-page.ts";
import { FleetFeed } from "./fleet-feed.ts";
import { answerOtherMethods, createClientEdge } from "./client-edge.ts";
import { CLIENT_LEFT, failExchange, newTrace, reportExchange, type Exchange } from "./exchange.ts";
import type { Stopping } from "./stopping.ts";
import type { Look } from "./ticker.ts";
import { registerOllamaReads } from "./ollama-reads.ts";
import { UNKNOWN_MODEL } from "./gateway-metrics.ts";
import type { InferenceDeps } from "./inference-handler.ts";
import { LINES_TYPE } from "../dialect/ollama/line.ts";
import { requireUse, serveMetered } from "./metered-inference.ts";
import type { MeteringDeps } from "./metering.ts";
import type { RequestTracing } from "./request-tracing.ts";
import type { RequestRate } from "../request-rate.ts";
import type { RequestMemory } from "../request-record.ts";
import { explainedRequest, latestRequests } from "../request-answers.ts";
import { usageReport } from "./usage-report.ts";

export interface GatewayServerDeps extends InferenceDeps, MeteringDeps, Omit<Stopping, "refuseNewWork"> {
  readonly keys: KeyRing;
  readonly requests: RequestMemory;
  readonly rate: RequestRate;
  readonly connectionsRefused: RequestRate;
  readonly version: GatewayVersion;
  readonly metrics: InferenceDeps["metrics"];
  readonly translation: TranslationThread;
  /** Null where no collector of traces is set. */
  readonly tracing: RequestTracing | null;
}

export function createGatewayServer(deps: GatewayServerDeps): FastifyInstance {
  const server = createClientEdge(deps, (request, reply) => {
    if (deps.tracing !== null) request.setDecorator(HEAD_AT, deps.clock.monotonicMs());
    identify(request, reply, deps.keys);
  });
  server.decorateRequest(PRINCIPAL, null);
  server.decorateRequest(HEAD_AT, null);
  registerReadRoutes(server, deps);
  registerPage(server, deps);
  for (const path of [...INFERENCE_ROUTES, ...MEDIA_ROUTES.keys()]) {
    server.post(path, (request, reply) => handleInference(request, reply, { path, deps }));
    answerOtherMethods(server, path, { allowed: "POST", deps });
  }
  const shelf = new AnswerShelf(SHELF_LIMITS);
  for (const route of DIALECT_ROUTES) {
    const { path } = route;
    const dialect = { route, shelf };
    server.post(path, (request, reply) => handleInference(request, reply, { path, dialect, deps }));
    answerOtherMethods(server, path, { allowed: "POST", deps });
  }
  return server;
}

/** Answers that clients go on from by their id: an hour after the last time, and no more memory than a few requests take. */
const SHELF_LIMITS = { mostBytes: 64 * MIB_BYTES, mostBytesOfOne: 16 * MIB_BYTES, ttlMs: 3_600_000 };

const PRINCIPAL = "principal";
/** When the head of a request had come, where that is of interest. */
const HEAD_AT = "headAtMs";

/**
 * What a load balancer or a supervisor asks for without a key, and the files of the page, which hold nothing of the fleet:
 * a browser opens them before anybody can give it a key.
 */
const OPEN_ROUTES: ReadonlySet<string> = new Set(["/", "/health", "/ready", ...PAGE_PATHS]);

/** Before the body is read: whoever has no key is not listened to for long. */
function identify(request: FastifyRequest, reply: FastifyReply, keys: KeyRing): void {
  const path = request.routeOptions.url;
  if (path !== undefined && OPEN_ROUTES.has(path)) return;
  try {
    request.setDecorator(PRINCIPAL, keys.identify(request.headers));
  } catch (thrown) {
    reply.header("www-authenticate", 'Bearer realm="cortex"');
    throw thrown;
  }
}

const principalOf = (request: FastifyRequest): Principal => request.getDecorator<Principal>(PRINCIPAL);

function registerReadRoutes(server: FastifyInstance, deps: GatewayServerDeps): void {
  const createdSecs = Math.floor(deps.clock.nowMs() / 1000);
  const leavesAtMs = (neuron: string, model: ResidentModel) => {
    const inMs = deps.scheduling.leavesInMs(neuron, model);
    return inMs === null ? null : Math.round(deps.clock.nowMs() + inMs);
  };
  const entries = () => modelEntries(deps.fleet, deps.poller.view(), { createdSecs, leavesAtMs });
  const read = (path: string, answer: (request: FastifyRequest) => unknown) => {
    server.get(path, async (request, reply) => reply.send(await answer(request)));
    answerOtherMethods(server, path, { allowed: "GET, HEAD", deps });
  };
  read("/health", () => gatewayHealth(statusSources(deps)));
  read("/", () => gatewayHealth(statusSources(deps)));
  // Refused like everything else as soon as the gateway is told to stop: a load balancer goes elsewhere then.
  read("/ready", () => ({ status: "ready" }));
  read("/version", () => deps.version);
  read("/fleet", (request) => {
    requireAdmin(principalOf(request));
    return fleetState(statusSources(deps));
  });
  registerFleetEvents(server, deps);
  read("/fleet/requests", (request) => {
    requireAdmin(principalOf(request));
    return latestRequests(request.query, deps.requests);
  });
  read("/fleet/requests/*", (request) => {
    requireAdmin(principalOf(request));
    return explainedRequest(wildcardOf(request), deps.requests);
  });
  read("/usage", (request) => {
    requireAdmin(principalOf(request));
    return usageReport(request.query, deps);
  });
  const entriesFor = (request: FastifyRequest) => {
    const principal = principalOf(request);
    return entries().filter(({ id, alias_of: target }) => mayUse(principal, [id, target ?? id]));
  };
  read("/v1/models", (request) => {
    const data = entriesFor(request);
    return speaksAnthropic(request) ? toAnthropicModels(data) : { object: "list", data };
  });
  read("/v1/models/*", (request) => {
    const id = wildcardOf(request);
    const offered = entriesFor(request);
    const entry = offered.find((candidate) => candidate.id === id);
    if (entry !== undefined) return speaksAnthropic(request) ? toAnthropicModel(entry) : entry;
    throw unknownModel(
      id,
      offered.map((candidate) => candidate.id),
    );
  });
  registerOllamaReads(server, { edge: deps, version: deps.version, entriesFor, unknownModel });
}

function registerFleetEvents(server: FastifyInstance, deps: GatewayServerDeps): void {
  const feed = new FleetFeed({ clock: deps.clock, observe: () => fleetState(statusSources(deps)) });
  const url = "/fleet/events";
  server.get(url, { exposeHeadRoute: false }, async (request, reply) => {
    requireAdmin(principalOf(request));
    feed.requireRoom();
    const { "last-event-id": resumed, origin } = request.headers;
    const headers = { "x-request-id": request.id, ...corsHeaders(origin, deps.fleet.gateway) };
    reply.hijack();
    await feed.follow(reply.raw, { headers, lastEventId: typeof resumed === "string" ? resumed : undefined });
  });
  answerOtherMethods(server, url, { allowed: "GET", deps });
  // Before requests are waited for: a follower would hold the gateway up for ever.
  deps.onStop(() => {
    feed.close();
  });
}

/** `/ui`: read once, when it is first asked for. What the page shows it asks for like any client, with its key. */
function registerPage(server: FastifyInstance, deps: GatewayServerDeps): void {
  let reading: Promise<PageFiles> | null = null;
  for (const path of PAGE_PATHS) {
    server.get(path, async (request, reply) => {
      // From `/ui/` the page would look for its files a folder too deep.
      if (/\/(?:\?|$)/.test(request.originalUrl)) return reply.redirect("../ui", 308);
      reading ??= readPage();
      const files = await reading.catch((thrown: unknown) => {
        reading = null;
        throw thrown;
      });
      const { status, headers, body } = pageAnswer(present(files.get(path), path), request.headers);
      return reply.status(status).headers(headers).send(body);
    });
    answerOtherMethods(server, path, { allowed: "GET, HEAD", deps });
  }
}

const speaksAnthropic = ({ headers }: FastifyRequest): boolean => headers["anthropic-version"] !== undefined;

const wildcardOf = (request: FastifyRequest): string => {
  const { params } = request;
  return typeof params === "object" && params !== null && "*" in params ? String(params["*"]) : "";
};

function unknownModel(id: string, offered: readonly string[]): CortexError {
  const shown = id.length > 100 ? `${id.slice(0, 100)}...` : id;
  const meant = id.length > 256 ? undefined : nearest(id, offered);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  return new CortexError("model_not_found", `no model "${shown}" in this fleet${hint}`, { param: "model" });
}

function statusSources(deps: GatewayServerDeps): StatusSources {
  return {
    fleet: deps.fleet,
    view: deps.poller.view(),
    scheduler: deps.scheduling.state,
    outstanding: (neuron, modelId) => deps.scheduling.outstanding(neuron, modelId),
    requestsInFlight: deps.active.size,
    connectionsRefusedPerSec: deps.connectionsRefused.perSecond(deps.clock.monotonicMs()),
    requests: () => deps.requests.latest(deps.requests.kept),
    requestsPerSec: deps.rate.perSecond(deps.clock.monotonicMs()),
    nowMs: deps.clock.nowMs(),
    monotonicMs: deps.clock.monotonicMs(),
  };
}

interface InferenceRoute {
  readonly path: string;
  /** Absent for OpenAI's own routes, whose bodies pass as they are. */
  readonly dialect?: { readonly route: DialectRoute; readonly shelf: AnswerShelf };
  readonly deps: GatewayServerDeps;
}

async function handleInference(
  request: FastifyRequest,
  reply: FastifyReply,
  route: InferenceRoute,
): Promise<void> {
  const { deps } = route;
  const startedAtMs = deps.clock.monotonicMs();
  const asked = await readAsked(request, route);
  const { facts } = asked;
  if (asked.instead !== null) {
    requireUse(deps, principalOf(request), facts.model);
    if (!wishFor(facts, deps)) throw unknownModel(facts.model, [...deps.fleet.modelsById.keys()]);
    reply.type(facts.stream ? LINES_TYPE : "application/json").send(asked.instead);
    return;
  }
  reply.hijack();
  const stop = new AbortController();
  const { raw } = reply;
  // A broken pipe shows as "close"; nobody else would listen for it.
  raw.on("error", () => undefined);
  const headAtMs = request.getDecorator<number | null>(HEAD_AT) ?? startedAtMs;
  const exchange = newExchange(request, { asked, raw, signal: stop.signal, startedAtMs, headAtMs, route });
  const active = {
    stop: (error: CortexError) => {
      stop.abort(error);
    },
  };
  const model = knownModelId(deps.fleet, deps.poller.view(), facts.model) ?? UNKNOWN_MODEL;
  const stopWatching = deps.watch(stallWatch(exchange, deps.timings.stallMs));
  const ended = deps.active.add(active);
  const onClose = () => {
    stopWatching();
    ended();
    deps.metrics.requestsInFlight.dec({ model });
    if (!raw.writableFinished) stop.abort(CLIENT_LEFT);
  };
  deps.requests.add(exchange.trace);
  deps.rate.count(startedAtMs);
  deps.metrics.requestsInFlight.inc({ model });
  const { socket } = request.raw;
  if (raw.closed || socket.destroyed) onClose();
  else raw.once("close", onClose);
  // A pipelined request has no connection of its own before the one ahead is answered: it hears of no close.
  if (raw.socket === null) socket.once("close", () => raw.destroy());
  try {
    await serveMetered(exchange, deps);
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) {
      deps.logger.error({ err: thrown, request_id: request.id }, "request failed");
    }
    failExchange(exchange, toCortexError(thrown));
  }
  wishFor(facts, deps);
  reportExchange(exchange, deps);
}

/** After the request: what it wishes is counted from its end. False where there is no such model. */
function wishFor({ model, keepMs }: RequestFacts, { fleet, poller, scheduling }: GatewayServerDeps): boolean {
  const modelId = knownModelId(fleet, poller.view(), model);
  if (modelId === undefined) return false;
  if (keepMs !== null) scheduling.wish(modelId, keepMs);
  return true;
}

function newExchange(
  request: FastifyRequest,
  begun: {
    readonly asked: AskedRequest;
    readonly raw: FastifyReply["raw"];
    readonly signal: AbortSignal;
    readonly startedAtMs: number;
    readonly headAtMs: number;
    readonly route: InferenceRoute;
  },
): Exchange {
  const { asked, raw, signal, startedAtMs, headAtMs } = begun;
  const { path: route, deps } = begun.route;
  const { id: requestId, headers } = request;
  const principal = principalOf(request);
  const cors = corsHeaders(headers.origin, deps.fleet.gateway);
  const client = asked.sinkTo(new ClientResponse(raw, { "x-request-id": requestId, ...cors }));
  const { stream } = asked.facts;
  const startedAtEpochMs = deps.clock.nowMs();
  const trace = newTrace({ requestId, route, key: principal.id, stream, startedAtMs, startedAtEpochMs });
  const traced = deps.tracing?.begin(headers, headAtMs) ?? null;
  return { requestId, ...asked, route, headers, principal, client, signal, trace, traced };
}

const newAnswerId = (): string => randomBytes(12).toString("hex");

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Without the mark that some editors put in front of a text: parsers of JSON stumble over it. */
function textOfBody(body: unknown): Buffer {
  if (!Buffer.isBuffer(body)) return Buffer.alloc(0);
  return body.subarray(0, 3).equals(BYTE_ORDER_MARK) ? body.subarray(3) : body;
}

/** Ends an answer that its client does not read: it would keep its slot at the neuron for ever. */
function stallWatch({ client, trace }: Exchange, stallMs: number): Look {
  let drains = 0;
  let behindSinceMs: number | null = null;
  return (nowMs) => {
    if (!client.isBehind || client.drains !== drains) behindSinceMs = null;
    drains = client.drains;
    if (!client.isBehind) return;
    behindSinceMs ??= nowMs;
    if (nowMs - behindSinceMs < stallMs) return;
    trace.errorCode = "client_stalled";
    client.drop();
  };
}

/** What is sent to a model, and what stands between its answer and the client. */
interface AskedRequest {
  readonly path: string;
  readonly facts: RequestFacts;
  readonly body: Buffer;
  /** The answer, where no model is asked. */
  readonly instead: string | null;
  readonly sinkTo: (client: ClientResponse) => AnswerSink;
}

/** The one reading of the body. */
async function readAsked(
  request: FastifyRequest,
  { path, dialect, deps }: InferenceRoute,
): Promise<AskedRequest> {
  const type = request.headers["content-type"];
  const isMedia = MEDIA_ROUTES.has(path);
  if (isMedia && isForm(type)) {
    const form = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    return { path, facts: readFormFacts(form, type), body: form, instead: null, sinkTo: (client) => client };
  }
  const body = textOfBody(request.body);
  requireJsonType(type);
  if (body.length === 0) throw new CortexError("malformed_json", "the request has no body");
  const fields = await scanBody(body);
  if (dialect === undefined) {
    const facts = isMedia ? readMediaFacts(body, fields) : readRequestFacts(body, fields);
    return { path, facts, body, instead: null, sinkTo: (client) => client };
  }
  const { depth } = fields;
  const { clock, fleet, poller } = deps;
  const { route, shelf } = dialect;
  const cameAtMs = clock.monotonicMs();
  const identity = {
    newId: newAnswerId,
    nowSecs: Math.floor(clock.nowMs() / 1000),
    elapsedMs: () => clock.monotonicMs() - cameAtMs,
    memory: shelf.memoryOf(principalOf(request).id, () => clock.monotonicMs()),
  };
  const isKnown = (model: string) => knownModelId(fleet, poller.view(), model) !== undefined;
  const context = { depth, identity, isKnown };
  const { answer, ...translated } = await deps.translation.translate(route, body, context);
  const { errors, streamType } = route;
  const sinkTo = (client: ClientResponse) => new TranslatedResponse(client, { answer, errors, streamType });
  return { ...translated, sinkTo };
}
