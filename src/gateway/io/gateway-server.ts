import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { CortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { present } from "../../core/present.ts";
import { MIB_BYTES } from "../../core/quantities.ts";
import type { GatewayVersion } from "../../protocol/gateway-api.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { fleetState, gatewayHealth, type StatusSources } from "../fleet-status.ts";
import { modelEntries } from "../model-list.ts";
import { corsHeaders } from "../front/who-may-ask.ts";
import { mayUse, requireAdmin, type KeyRing, type Principal } from "../keys/key-ring.ts";
import { AnswerShelf } from "../dialect/contract/answer-shelf.ts";
import { toAnthropicModel, toAnthropicModels } from "../dialect/anthropic/model-list.ts";
import { DIALECT_ROUTES } from "../dialect/dialect-routes.ts";
import type { TranslationThread } from "../dialect/io/translation-thread.ts";
import { pageAnswer, type PageFiles } from "../page/page-answer.ts";
import { PAGE_PATHS, readPage } from "../page/io/read-page.ts";
import { FleetFeed } from "./fleet-feed.ts";
import { answerOtherMethods, createClientEdge } from "./client-edge.ts";
import type { Stopping } from "./stopping.ts";
import { registerOllamaReads } from "./ollama-reads.ts";
import type { InferenceDeps } from "./inference-handler.ts";
import {
  enterInference,
  inferenceInFront,
  inferenceRoutes,
  type InferenceEntryDeps,
  type InferenceRoute,
} from "./inference-entry.ts";
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
  const entry: InferenceEntryDeps = {
    ...deps,
    shelf: new AnswerShelf(SHELF_LIMITS),
    identify: ({ socket, headers }) => deps.keys.identifyOn(socket, headers),
    unknownModel,
  };
  const routes = inferenceRoutes(DIALECT_ROUTES);
  const server = createClientEdge(deps, {
    identify: (request) => {
      identify(request, deps.keys);
    },
    inFront: inferenceInFront(routes, entry),
  });
  server.decorateRequest(PRINCIPAL, null);
  registerReadRoutes(server, deps);
  registerPage(server, deps);
  for (const route of routes) {
    registerInference(server, route, entry);
    answerOtherMethods(server, route.path, { allowed: "POST", deps });
  }
  return server;
}

/** What did not come in front: under a name with escapes, or at a second address of "localhost". */
function registerInference(server: FastifyInstance, route: InferenceRoute, entry: InferenceEntryDeps): void {
  const onRequest = ({ raw: request }: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    void enterInference({ request, response: reply.raw }, route, entry);
  };
  server.post(route.path, { onRequest }, () => {
    throw new Error("a request was taken, and came nevertheless");
  });
}

/** Answers that clients go on from by their id: an hour after the last time, and no more memory than a few requests take. */
const SHELF_LIMITS = { mostBytes: 64 * MIB_BYTES, mostBytesOfOne: 16 * MIB_BYTES, ttlMs: 3_600_000 };

const PRINCIPAL = "principal";

/**
 * What a load balancer or a supervisor asks for without a key, and the files of the page, which hold nothing of the fleet:
 * a browser opens them before anybody can give it a key.
 */
const OPEN_ROUTES: ReadonlySet<string> = new Set(["/", "/health", "/ready", ...PAGE_PATHS]);

/** Before the body is read: whoever has no key is not listened to for long. */
function identify(request: FastifyRequest, keys: KeyRing): void {
  const path = request.routeOptions.url;
  if (path !== undefined && OPEN_ROUTES.has(path)) return;
  request.setDecorator(PRINCIPAL, keys.identify(request.headers));
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
