import type { FastifyInstance, FastifyRequest } from "fastify";
import { CortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { present } from "../../core/present.ts";
import type { GatewayVersion, GatewayWorker } from "../../protocol/gateway-api.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { toAnthropicModel, toAnthropicModels } from "../dialect/anthropic/model-list.ts";
import { fleetState, gatewayHealth, type StatusSources } from "../fleet-status.ts";
import { corsHeaders } from "../front/who-may-ask.ts";
import { mayUse, requireAdmin } from "../keys/key-ring.ts";
import type { Scheduling } from "../loading/io/scheduler-loop.ts";
import { modelEntries } from "../model-list.ts";
import { pageAnswer, type PageFiles } from "../page/page-answer.ts";
import { PAGE_PATHS, readPage } from "../page/io/read-page.ts";
import { explainedRequest, latestRequests } from "../request-answers.ts";
import type { RequestReports } from "../request-reports.ts";
import type { NeuronPoller } from "../view/io/neuron-poller.ts";
import { answerOtherMethods, principalOf, type EdgeDeps } from "./client-edge.ts";
import { FleetFeed } from "./fleet-feed.ts";
import { registerOllamaReads } from "./ollama-reads.ts";
import type { Stopping } from "./stopping.ts";
import { usageReport, type UsageSources } from "./usage-report.ts";

export interface ReadRouteDeps extends EdgeDeps, UsageSources, Pick<Stopping, "onStop"> {
  readonly poller: Pick<NeuronPoller, "view">;
  readonly scheduling: Scheduling;
  readonly version: GatewayVersion;
  readonly reports: RequestReports;
  /** Undefined where the gateway is one process. */
  readonly workers: (() => readonly GatewayWorker[]) | undefined;
}

/** Every route that no model is asked for. */
export function registerReadRoutes(server: FastifyInstance, deps: ReadRouteDeps): void {
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
  registerPage(server, deps);
  read("/fleet/requests", (request) => {
    requireAdmin(principalOf(request));
    return latestRequests(request.query, deps.reports);
  });
  read("/fleet/requests/*", (request) => {
    requireAdmin(principalOf(request));
    return explainedRequest(wildcardOf(request), deps.reports);
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

function registerFleetEvents(server: FastifyInstance, deps: ReadRouteDeps): void {
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
function registerPage(server: FastifyInstance, deps: ReadRouteDeps): void {
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

export function unknownModel(id: string, offered: readonly string[]): CortexError {
  const shown = id.length > 100 ? `${id.slice(0, 100)}...` : id;
  const meant = id.length > 256 ? undefined : nearest(id, offered);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  return new CortexError("model_not_found", `no model "${shown}" in this fleet${hint}`, { param: "model" });
}

function statusSources(deps: ReadRouteDeps): StatusSources {
  return {
    fleet: deps.fleet,
    view: deps.poller.view(),
    scheduler: deps.scheduling.state,
    outstanding: (neuron, modelId) => deps.scheduling.outstanding(neuron, modelId),
    traffic: deps.reports.traffic(),
    workers: deps.workers?.(),
    nowMs: deps.clock.nowMs(),
    monotonicMs: deps.clock.monotonicMs(),
  };
}
