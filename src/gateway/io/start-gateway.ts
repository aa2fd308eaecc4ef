import type { FastifyInstance } from "fastify";
import { Registry } from "prom-client";
import { isLoopback } from "../../core/addresses.ts";
import { isRecord } from "../../core/json.ts";
import { CortexError } from "../../core/errors.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { createHttpServer, listen } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import type { GatewayVersion } from "../../protocol/gateway-api.ts";
import { declaredFleet } from "../../protocol/declaration/declared-fleet.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { indexFleet, LiveFleet, type FleetIndex } from "../view/fleet-index.ts";
import { policyOf, timingsOf, type GatewayConfig } from "../gateway-config.ts";
import { createScheduling, type Scheduling, type SchedulingDeps } from "../loading/io/scheduler-loop.ts";
import { createGatewayMetrics, registerFleetMetrics, type GatewayMetrics } from "./gateway-metrics.ts";
import { CrashMemory } from "../crash-memory.ts";
import type { RequestTracing } from "./request-tracing.ts";
import { createStopping } from "./stopping.ts";
import { Ticker } from "./ticker.ts";
import { UnderWayRequests } from "./under-way-requests.ts";
import { createGatewayServer, type GatewayServerDeps } from "./gateway-server.ts";
import { registerReadRoutes, type ReadRouteDeps } from "./read-routes.ts";
import {
  drainRequests,
  LAST_WORDS_MS,
  memoriesOf,
  neuronConnector,
  openTracing,
  renewNeurons,
  REQUESTS_KEPT,
  type NeuronCalling,
} from "./request-parts.ts";
import type { Crew } from "../crew/io/crew.ts";
import { reportsOf } from "../request-reports.ts";
import { withinGrace } from "../../core/interruptible-sleep.ts";
import { budgetReadings } from "../keys/budget-readings.ts";
import { KeyRing } from "../keys/key-ring.ts";
import { openLedger } from "../keys/io/open-ledger.ts";
import { TranslationThread } from "../dialect/io/translation-thread.ts";
import type { UsageLedger } from "../keys/usage-ledger.ts";
import { createNeuronPoller, type RunningPolls } from "../view/io/neuron-poller.ts";

export interface GatewayDeps extends NeuronCalling {
  readonly logger: Logger;
}

export interface RunningGateway {
  /** Base URL of the API, with the port that was really bound. */
  readonly address: string;
  /** Base URL of the metrics server; the exposition is at `/metrics`. */
  readonly metricsAddress: string;
  /** Puts other fleet files in force without touching a connection. Throws what forbids it, and changes nothing then. */
  reload(next: DeclaredFiles): void;
  /** Takes no new work, and says so, lets streams end within the grace period, then ends them with an error event. */
  close(): Promise<void>;
}

export type DeclaredFiles = Pick<GatewayConfig, "fleet" | "overridden" | "repository">;

/** Starts the gateway; resolves when both servers listen. Rejects with `address_in_use` and the like. */
export async function startGateway(config: GatewayConfig, deps: GatewayDeps): Promise<RunningGateway> {
  requireKeysBeyondLoopback(config);
  const crew = await beginCrew(config, deps);
  const parts = await openParts(config, { crew, deps }).catch(async (thrown: unknown) => {
    await crew?.workers.close(0);
    throw thrown;
  });
  const { metricsServer, timings } = parts;
  const { logger } = deps;
  const polls = parts.poller.start();
  void parts.ticker.run();
  parts.scheduling.start();
  try {
    await withinGrace(polls.firstPolls, { clock: deps.clock, graceMs: timings.firstPollGraceMs });
    const port = await listenForClients(config, { parts, crew });
    const metricsPort = await listen(metricsServer, config.metricsListen);
    warnWhenOpen(config, logger);
    const address = baseUrl(config.listen.host, port);
    const metricsAddress = baseUrl(config.metricsListen.host, metricsPort);
    logger.info({ address, metrics: metricsAddress, neurons: parts.neurons.size }, "gateway listens");
    let closed: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      parts.refuseNewWork();
      // Not so much as a turn later where there is none: the grace begins with the word.
      if (crew !== null) await crew.workers.close(timings.closeGraceMs + 2 * LAST_WORDS_MS);
      await drainRequests({ ...parts, clock: deps.clock });
      await stopParts(parts, polls);
    };
    const reload = (next: DeclaredFiles) => {
      const changed = { ...config, ...next };
      reloadParts(changed, { before: config, parts, deps });
      crew?.workers.change(changed);
    };
    return { address, metricsAddress, reload, close: () => (closed ??= close()) };
  } catch (thrown) {
    await crew?.workers.close(0);
    await stopParts(parts, polls);
    throw thrown;
  }
}

type GatewayParts = ReturnType<typeof assembleGateway>;

/** The other processes of a gateway that has several, and where this one answers what they do not. */
interface BegunCrew {
  readonly workers: Crew<GatewayConfig>;
  readonly ownerSocket: string;
}

/** Begun first: a process takes longest to start. */
async function beginCrew(config: GatewayConfig, deps: GatewayDeps): Promise<BegunCrew | null> {
  if (config.crew === undefined) return null;
  const { Crew } = await import("../crew/io/crew.ts");
  const workers = new Crew<GatewayConfig>(config.crew, deps);
  return { workers, ownerSocket: await workers.begin() };
}

async function openParts(
  config: GatewayConfig,
  { crew, deps }: { readonly crew: BegunCrew | null; readonly deps: GatewayDeps },
): Promise<GatewayParts> {
  const ledger = await openLedger({ fleet: config.fleet, path: config.ledgerPath }, deps);
  const tracing = await openTracing(config, deps.clock);
  const translation = new TranslationThread();
  return assembleGateway(config, { ledger, tracing, translation, crew: crew?.workers ?? null }, deps);
}

/** Resolves with the port of the API, once all who serve it listen. */
async function listenForClients(
  config: GatewayConfig,
  { parts, crew }: { readonly parts: GatewayParts; readonly crew: BegunCrew | null },
): Promise<number> {
  const { api, metrics } = parts;
  if (crew === null) return listen(api, config.listen);
  await listen(api, { socketPath: crew.ownerSocket });
  const onDeath = () => {
    metrics.workerDeaths.inc();
  };
  return crew.workers.open(config, { ...parts, onDeath }, config.listen);
}

/** Makes every part and joins them; nothing polls or listens yet. */
function assembleGateway(config: GatewayConfig, opened: Opened, deps: GatewayDeps) {
  const { clock, logger } = deps;
  const { ledger, crew } = opened;
  const registry = new Registry();
  const metrics = createGatewayMetrics(registry);
  const known = watchFleet(config, deps, { metrics, onStep: opened.crew?.noteStep });
  const { fleet, poller, scheduling, timings } = known;
  const build = config.build ?? { packageVersion: "0.0.0", gitSha: "unknown" };
  const startedAtMs = clock.nowMs();
  const stopping = createStopping();
  const keys = new KeyRing(config.fleet.keys, { allowAnonymous: config.fleet.gateway.allow_anonymous });
  const setFleetGauges = registerFleetMetrics(registry, {
    view: () => poller.view(),
    queues: () => scheduling.state.queues,
    declaredCopies: () => [...fleet.modelsById].map(([id, { replicas }]) => [id, replicas]),
    budgets: () => budgetReadings(keys, ledger, clock.nowMs()),
    workers: () => crew?.serving ?? 1,
    build,
    startedAtMs,
  });
  const ticker = new Ticker(clock, () => timings.tickMs);
  const { watch } = ticker;
  const underWay = new UnderWayRequests(ledger, watch);
  const crashes = new CrashMemory(clock);
  const requestParts = { clock, logger, metrics, keys, underWay, watch, crashes, ...memoriesOf() };
  const shared = { ...known, ...requestParts, ...opened, ...stopping };
  const api = createApi(shared, { version: versionOf(build), crew });
  const exposition = () => crew?.exposition(registry) ?? registry.metrics();
  const metricsServer = createMetricsServer({ logger, registry, setFleetGauges, exposition });
  const { refuseNewWork } = stopping;
  const { active } = shared;
  return { ...known, ...opened, keys, crashes, metrics, active, ticker, api, metricsServer, refuseNewWork };
}

/** What is known of the fleet, and what follows from it: nobody is asked before it is started. */
function watchFleet(
  config: GatewayConfig,
  deps: GatewayDeps,
  { metrics, onStep }: { readonly metrics: GatewayMetrics; readonly onStep: (() => void) | undefined },
) {
  const { clock, logger } = deps;
  const timings = timingsOf(config);
  const fleet = new LiveFleet(indexFleet(config.fleet, config.overridden, config.repository));
  const connect = neuronConnector(timings, deps);
  const neurons = new Map(fleet.neurons.map((neuron) => [neuron.name, connect(neuron)]));
  const poller = createNeuronPoller({
    clock,
    logger,
    fleet,
    neurons,
    pollIntervalMs: timings.pollIntervalMs,
    outstandingAt: (neuron) => scheduling.outstandingAt(neuron),
  });
  const scheduling: Scheduling = createScheduling({
    clock,
    logger,
    fleet,
    neurons,
    poller,
    jobPollMs: timings.jobPollMs,
    policy: policyOf(config),
    onStep,
    ...loadCounters(metrics),
  });
  return { fleet, timings, neurons, poller, scheduling };
}

function createApi(
  shared: GatewayServerDeps & Omit<ReadRouteDeps, "version" | "reports" | "workers">,
  { version, crew }: { readonly version: GatewayVersion; readonly crew: Opened["crew"] },
): FastifyInstance {
  const requestsInFlight = () => shared.active.size;
  const monotonicMs = () => shared.clock.monotonicMs();
  const reports = crew?.reports(REQUESTS_KEPT) ?? reportsOf({ ...shared, requestsInFlight, monotonicMs });
  const workers = crew === null ? undefined : () => crew.workers();
  // An owner's connections are its workers': those of clients are limited there.
  const served = crew === null ? shared : { ...shared, connectionsElsewhere: null };
  return createGatewayServer(served, (server) => {
    registerReadRoutes(server, { ...shared, reports, workers, version });
  });
}

/** What takes a while to be there. */
interface Opened {
  readonly translation: TranslationThread;
  readonly ledger: UsageLedger;
  readonly tracing: RequestTracing | null;
  /** Null where this process serves requests itself. */
  readonly crew: Crew<GatewayConfig> | null;
}

const versionOf = (build: NonNullable<GatewayConfig["build"]>): GatewayVersion => ({
  package_version: build.packageVersion,
  git_sha: build.gitSha,
  node_version: process.version,
});

/** Until a restart the gateway listens where it did, whatever the files say by now: `GET /fleet` must not say otherwise. */
function servingOn(first: Fleet, index: FleetIndex): FleetIndex {
  const { listen, metrics_listen, limits } = first.gateway;
  const { gateway } = index.served;
  const next = isRecord(gateway["limits"]) ? gateway["limits"] : {};
  const kept = { listen, metrics_listen, limits: { ...next, head_secs: limits.head_secs } };
  const served = { ...index.served, gateway: { ...gateway, ...kept }, ledger: declaredFleet(first).ledger };
  return { ...index, served };
}

interface Reloading {
  readonly before: GatewayConfig;
  readonly parts: GatewayParts;
  readonly deps: GatewayDeps;
}

/** What goes on keeps its neuron's connections until it has ended; where the gateway listens is decided at its start. */
function reloadParts(config: GatewayConfig, { before, parts, deps }: Reloading): void {
  requireKeysBeyondLoopback(config);
  const { fleet, keys, neurons, poller, scheduling, timings } = parts;
  const former = fleet.neuronsByName;
  fleet.replace(servingOn(before.fleet, indexFleet(config.fleet, config.overridden, config.repository)));
  Object.assign(timings, timingsOf(config));
  parts.ledger.declare(config.fleet.keys);
  keys.declare(config.fleet.keys, { allowAnonymous: config.fleet.gateway.allow_anonymous });
  renewNeurons(neurons, { former, fleet, connect: neuronConnector(timings, deps) });
  poller.follow(neurons.values());
  scheduling.follow(policyOf(config));
  deps.logger.info({ models: fleet.modelsById.size, neurons: neurons.size }, "fleet files read anew");
  const { listen, metrics_listen: metricsListen, limits } = config.fleet.gateway;
  const first = before.fleet.gateway;
  const isMoved = listen !== first.listen || metricsListen !== first.metrics_listen;
  const countsElsewhere = config.fleet.ledger.url !== before.fleet.ledger.url;
  if (isMoved || countsElsewhere || limits.head_secs !== first.limits.head_secs) {
    deps.logger.warn(
      { listen, metrics_listen: metricsListen },
      "addresses, head_secs and the ledger change with a restart only",
    );
  }
}

async function stopParts(parts: GatewayParts, polls: RunningPolls): Promise<void> {
  const { scheduling, neurons, api, metricsServer, ticker } = parts;
  polls.close();
  ticker.close();
  await scheduling.close();
  await Promise.allSettled([...neurons.values()].map((neuron) => neuron.destroy()));
  await Promise.allSettled([api.close(), metricsServer.close()]);
  await Promise.all([parts.ledger.close(), parts.tracing?.close(), parts.translation.close()]);
}

function createMetricsServer(parts: {
  readonly logger: Logger;
  readonly registry: Registry;
  readonly setFleetGauges: () => Promise<void>;
  readonly exposition: () => Promise<string>;
}): FastifyInstance {
  const server = createHttpServer({ logger: parts.logger, errorResponse: toErrorResponse });
  server.get("/metrics", async (_request, reply) => {
    await parts.setFleetGauges();
    const exposition = await parts.exposition();
    return reply.header("content-type", parts.registry.contentType).send(exposition);
  });
  return server;
}

const loadCounters = (metrics: GatewayMetrics): Pick<SchedulingDeps, "onLoadEnded" | "onEvicted"> => ({
  onLoadEnded: ({ modelId, neuron, outcome, durationMs }) => {
    const labels = { model: modelId, node: neuron };
    metrics.coldLoads.inc({ ...labels, outcome });
    if (outcome === "loaded") metrics.loadSeconds.observe(labels, durationMs / 1000);
  },
  onEvicted: ({ modelId, neuron, reason }) => {
    metrics.evictions.inc({ model: modelId, node: neuron, reason });
  },
});

/** Throws `bind_needs_keys`: an endpoint that the network reaches and that serves everybody is never an oversight. */
function requireKeysBeyondLoopback({ fleet, listen: { host }, insecure }: GatewayConfig): void {
  const served = fleet.keys.length > 0 || fleet.gateway.allow_anonymous || insecure === true;
  if (served || isLoopback(host)) return;
  throw new CortexError(
    "bind_needs_keys",
    `the gateway would listen on ${host}, beyond this machine, and the fleet declares no key`,
  );
}

function warnWhenOpen({ fleet, listen: { host } }: GatewayConfig, logger: Logger): void {
  if (isLoopback(host) || (fleet.keys.length > 0 && !fleet.gateway.allow_anonymous)) return;
  logger.warn({ host }, "the gateway listens beyond this machine and serves whoever has no key");
}

const baseUrl = (host: string, port: number): string => {
  const bare = host.replace(/^\[|\]$/g, "");
  return `http://${bare.includes(":") ? `[${bare}]` : bare}:${port}`;
};
