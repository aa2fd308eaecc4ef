import type { FastifyInstance } from "fastify";
import { Registry } from "prom-client";
import type { Clock } from "../../core/clock.ts";
import { isLoopback } from "../../core/addresses.ts";
import { CortexError } from "../../core/errors.ts";
import { isRecord } from "../../core/json.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { createHttpServer, listen } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import type { GatewayVersion } from "../../protocol/gateway-api.ts";
import { declaredFleet } from "../../protocol/declaration/declared-fleet.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { indexFleet, LiveFleet, type FleetIndex } from "../view/fleet-index.ts";
import { policyOf, timingsOf, type GatewayConfig, type GatewayTimings } from "../gateway-config.ts";
import { ActiveRequests } from "./active-requests.ts";
import { createScheduling, type EndedLoad, type Scheduling } from "../loading/io/scheduler-loop.ts";
import { createGatewayMetrics, registerFleetMetrics, type GatewayMetrics } from "./gateway-metrics.ts";
import { CrashMemory } from "./crash-memory.ts";
import { gatewayRates } from "../request-rate.ts";
import { RequestMemory } from "../request-record.ts";
import { RequestTracing } from "./request-tracing.ts";
import { createStopping } from "./stopping.ts";
import { Ticker } from "./ticker.ts";
import { UnderWayRequests } from "./under-way-requests.ts";
import { createGatewayServer } from "./gateway-server.ts";
import { withinGrace } from "../../core/interruptible-sleep.ts";
import { createNeuronClient, type NeuronAccess, type NeuronClient } from "../../protocol/io/neuron-client.ts";
import type { CalledNeuron } from "../../protocol/neuron-failure.ts";
import { budgetReadings } from "../keys/budget-readings.ts";
import { KeyRing } from "../keys/key-ring.ts";
import { openLedger } from "../keys/io/open-ledger.ts";
import { TranslationThread } from "../dialect/io/translation-thread.ts";
import type { UsageLedger } from "../keys/usage-ledger.ts";
import { createNeuronPoller, type RunningPolls } from "../view/io/neuron-poller.ts";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the neurons are called with. */
  readonly neuronAccess?: NeuronAccess | undefined;
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

/** After the grace period: how long the last error events may take to leave before connections are cut. */
const LAST_WORDS_MS = 1000;

/** Whose way can be explained afterwards: a kilobyte or two each. */
const REQUESTS_KEPT = 1000;

/** Starts the gateway; resolves when both servers listen. Rejects with `address_in_use` and the like. */
export async function startGateway(config: GatewayConfig, deps: GatewayDeps): Promise<RunningGateway> {
  requireKeysBeyondLoopback(config);
  const ledger = await openLedger({ fleet: config.fleet, path: config.ledgerPath }, deps);
  const tracing = await openTracing(config, deps.clock);
  const parts = assembleGateway(config, { ledger, tracing, translation: new TranslationThread() }, deps);
  const { api, metricsServer, timings } = parts;
  const { logger } = deps;
  const polls = parts.poller.start();
  void parts.ticker.run();
  parts.scheduling.start();
  try {
    await withinGrace(polls.firstPolls, { clock: deps.clock, graceMs: timings.firstPollGraceMs });
    const port = await listen(api, config.listen);
    const metricsPort = await listen(metricsServer, config.metricsListen);
    warnWhenOpen(config, logger);
    const address = baseUrl(config.listen.host, port);
    const metricsAddress = baseUrl(config.metricsListen.host, metricsPort);
    logger.info({ address, metrics: metricsAddress, neurons: parts.neurons.size }, "gateway listens");
    let closed: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      parts.refuseNewWork();
      await drainRequests({ ...parts, clock: deps.clock });
      await stopParts(parts, polls);
    };
    const reload = (next: DeclaredFiles) => {
      reloadParts({ ...config, ...next }, { before: config, parts, deps });
    };
    return { address, metricsAddress, reload, close: () => (closed ??= close()) };
  } catch (thrown) {
    await stopParts(parts, polls);
    throw thrown;
  }
}

type GatewayParts = ReturnType<typeof assembleGateway>;

/** Makes every part and joins them; nothing polls or listens yet. */
function assembleGateway(config: GatewayConfig, opened: Opened, deps: GatewayDeps) {
  const { clock, logger } = deps;
  const { ledger } = opened;
  const timings = timingsOf(config);
  const fleet = new LiveFleet(indexFleet(config.fleet, config.overridden, config.repository));
  const registry = new Registry();
  const metrics = createGatewayMetrics(registry);
  const active = new ActiveRequests();
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
  const policy = policyOf(config);
  const scheduling: Scheduling = createScheduling({
    clock,
    logger,
    fleet,
    neurons,
    poller,
    jobPollMs: timings.jobPollMs,
    policy,
    onLoadEnded: (load) => {
      countLoad(metrics, load);
    },
    onEvicted: ({ modelId, neuron, reason }) => {
      metrics.evictions.inc({ model: modelId, node: neuron, reason });
    },
  });
  const build = config.build ?? { packageVersion: "0.0.0", gitSha: "unknown" };
  const startedAtMs = clock.nowMs();
  const stopping = createStopping();
  const crashes = new CrashMemory(clock);
  const keys = new KeyRing(config.fleet.keys, { allowAnonymous: config.fleet.gateway.allow_anonymous });
  const setFleetGauges = registerFleetMetrics(registry, {
    view: () => poller.view(),
    queues: () => scheduling.state.queues,
    declaredCopies: () => [...fleet.modelsById].map(([id, { replicas }]) => [id, replicas]),
    budgets: () => budgetReadings(keys, ledger, clock.nowMs()),
    build,
    startedAtMs,
  });
  const ticker = new Ticker(clock, () => timings.tickMs);
  const { watch } = ticker;
  const underWay = new UnderWayRequests(ledger, watch);
  const common = { clock, logger, fleet, poller, neurons, scheduling, active, metrics, timings };
  const requests = new RequestMemory(REQUESTS_KEPT);
  const rates = gatewayRates();
  const shared = { ...common, ...opened, ...rates, requests, crashes, keys, underWay, watch };
  const api = createGatewayServer({ ...shared, ...stopping, version: versionOf(build) });
  const metricsServer = createMetricsServer({ logger, registry, setFleetGauges });
  const { refuseNewWork } = stopping;
  const live = { fleet, keys, neurons, poller, timings };
  return { ...live, ...opened, active, scheduling, ticker, api, metricsServer, refuseNewWork };
}

/** What takes a while to be there. */
interface Opened {
  readonly translation: TranslationThread;
  readonly ledger: UsageLedger;
  readonly tracing: RequestTracing | null;
}

/** The packages that send spans take 200 ms and 16 MB: they are loaded only where somebody wants them. */
async function openTracing(config: GatewayConfig, clock: Clock): Promise<RequestTracing | null> {
  const { tracing, build } = config;
  if (tracing === undefined) return null;
  const { createSpanExporter } = await import("../../platform/span-exporter.ts");
  const sink = createSpanExporter({
    url: tracing.url,
    serviceName: "cortex-gateway",
    packageVersion: build?.packageVersion ?? "0.0.0",
  });
  return new RequestTracing(sink, { ratio: tracing.sampleRatio, clock });
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
  const connect = neuronConnector(timings, deps);
  for (const [name, client] of neurons) {
    if (fleet.neuronsByName.get(name)?.endpoint === former.get(name)?.endpoint) continue;
    neurons.delete(name);
    void client.retire();
  }
  for (const neuron of fleet.neurons)
    if (!neurons.has(neuron.name)) neurons.set(neuron.name, connect(neuron));
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

function neuronConnector(
  timings: GatewayTimings,
  { clock, neuronAccess }: GatewayDeps,
): (neuron: CalledNeuron) => NeuronClient {
  const options = {
    clock,
    callTimeoutMs: timings.controlTimeoutMs,
    connectTimeoutMs: timings.connectTimeoutMs,
    // Answers have deadlines of their own, which know what is silent and what is only long.
    silenceMs: 0,
    access: neuronAccess,
  };
  return (neuron) => createNeuronClient(neuron, options);
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

interface Draining {
  readonly api: FastifyInstance;
  readonly active: ActiveRequests;
  readonly clock: Clock;
  readonly timings: GatewayTimings;
}

/** New requests are refused on a live socket meanwhile: a refused connection says nothing of when to come back. */
async function drainRequests({ api, active, clock, timings }: Draining): Promise<void> {
  await withinGrace(active.idle(), { clock, graceMs: timings.closeGraceMs });
  active.stopAll(new CortexError("draining", "the gateway is shutting down; the answer is incomplete"));
  await withinGrace(active.idle(), { clock, graceMs: LAST_WORDS_MS });
  // The HTTP server itself first: Fastify's own close would answer open connections in words that are not ours.
  api.server.close();
  api.server.closeAllConnections();
}

function createMetricsServer(parts: {
  readonly logger: Logger;
  readonly registry: Registry;
  readonly setFleetGauges: () => Promise<void>;
}): FastifyInstance {
  const server = createHttpServer({ logger: parts.logger, errorResponse: toErrorResponse });
  server.get("/metrics", async (_request, reply) => {
    await parts.setFleetGauges();
    const exposition = await parts.registry.metrics();
    return reply.header("content-type", parts.registry.contentType).send(exposition);
  });
  return server;
}

function countLoad(metrics: GatewayMetrics, load: EndedLoad): void {
  const labels = { model: load.modelId, node: load.neuron };
  metrics.coldLoads.inc({ ...labels, outcome: load.outcome });
  if (load.outcome === "loaded") metrics.loadSeconds.observe(labels, load.durationMs / 1000);
}

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
