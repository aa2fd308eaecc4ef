import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { TallyCounter, TallyGauge, TallyHistogram } from "../../platform/tallies.ts";
import type { BudgetReading } from "../keys/budget-readings.ts";
import type { ModelQueue } from "../loading/scheduler-state.ts";
import type { FleetView } from "../view/fleet-view.ts";

/** Label of requests for models that nobody declared: a client must not be able to make new series. */
export const UNKNOWN_MODEL = "unknown";

const LONG_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200];
const SHORT_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];

export interface MetricsSources {
  readonly view: () => FleetView;
  /** By model. */
  readonly queues: () => ReadonlyMap<string, ModelQueue>;
  /** Copies that the fleet files want loaded, by model. */
  readonly declaredCopies: () => readonly (readonly [model: string, copies: number])[];
  readonly budgets: () => Promise<readonly BudgetReading[]>;
  /** Processes that serve requests. */
  readonly workers: () => number;
  readonly build: { readonly packageVersion: string; readonly gitSha: string };
  /** When the counters began at zero, milliseconds since the epoch. */
  readonly startedAtMs: number;
}

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

/** What happens, counted where it happens. */
export const createGatewayMetrics = (registry: Registry) => ({
  ...createRequestMetrics(registry),
  ...createLoadMetrics(registry),
  ...createKeyMetrics(registry),
});

/** What happens to requests. `node` is empty when no neuron was reached. */
function createRequestMetrics(registry: Registry) {
  const counter = tallyMaker(registry);
  const seconds = (name: string, help: string, buckets: readonly number[]) =>
    new TallyHistogram({ name, help, labelNames: ["model", "node"], registry }, buckets);
  return {
    requests: counter(
      "cortex_requests_total",
      "Requests by HTTP status; 499 = the client left before the answer was complete",
      ["model", "node", "status"],
    ),
    requestErrors: counter(
      "cortex_request_errors_total",
      "Requests that ended in an error of the gateway or a neuron, by error code",
      ["model", "node", "code"],
    ),
    requestDuration: seconds(
      "cortex_request_duration_seconds",
      "From the request's last byte to the answer's last byte, streams included",
      LONG_SECONDS,
    ),
    timeToFirstToken: seconds(
      "cortex_time_to_first_token_seconds",
      "From the request's last byte to the first content of a streamed answer",
      SHORT_SECONDS,
    ),
    requestsInFlight: new TallyGauge({
      name: "cortex_requests_in_flight",
      help: "Requests held open, waiting for a load included",
      labelNames: ["model"],
      registry,
    }),
    streamsCut: counter("cortex_streams_cut_total", "Answers that broke off after their first byte", [
      "model",
      "node",
    ]),
    retries: counter("cortex_retries_total", "Requests sent again before the first byte of an answer", [
      "model",
      "reason",
    ]),
    clientDisconnects: counter(
      "cortex_client_disconnects_total",
      "Clients that left before the answer was complete, by what the request was doing",
      ["model", "phase"],
    ),
  };
}

const tallyMaker =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly [Label, ...Label[]]) =>
    new TallyCounter({ name, help, labelNames, registry });

const counterMaker =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });

/** What becomes of models because requests ask for them. */
function createLoadMetrics(registry: Registry) {
  const counter = counterMaker(registry);
  return {
    workerDeaths: counter(
      "cortex_gateway_worker_deaths_total",
      "Processes of this gateway that ended by themselves and were started again; 0 without --workers",
      [],
    ),
    coldStarts: counter("cortex_cold_starts_total", "Requests that had to wait for a load", [
      "model",
      "node",
    ]),
    coldLoads: counter("cortex_cold_loads_total", "Loads begun by the gateway, by how they ended", [
      "model",
      "node",
      "outcome",
    ]),
    loadSeconds: new Histogram({
      name: "cortex_model_load_seconds",
      help: "Duration of successful loads begun by the gateway",
      labelNames: ["model", "node"],
      buckets: LONG_SECONDS,
      registers: [registry],
    }),
    evictions: counter(
      "cortex_evictions_total",
      "Copies that a neuron let go because this gateway asked: for another model (swap), for want of use (idle), or to come back (recycle)",
      ["model", "node", "reason"],
    ),
  };
}

/** By the keys that the fleet declares, so that no client can make a series. */
const createKeyMetrics = (registry: Registry) => ({
  keyTokens: tallyMaker(registry)("cortex_key_tokens_total", "Tokens counted, by key", ["key", "kind"]),
  keyRefusals: tallyMaker(registry)(
    "cortex_key_refusals_total",
    "Requests refused for a limit of their key",
    ["key", "limit"],
  ),
});

const gaugeMaker =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });

type FleetGauges = ReturnType<typeof createFleetGauges>;

function createFleetGauges(registry: Registry) {
  const gauge = gaugeMaker(registry);
  const perModel = ["node", "model"] as const;
  const perDevice = ["node", "device"] as const;
  return {
    healthy: gauge("cortex_neuron_healthy", "1 while the neuron answers", ["node"]),
    misses: gauge("cortex_neuron_missed_polls", "Polls missed in a row", ["node"]),
    servable: gauge(
      "cortex_model_servable",
      "1 for each loaded copy that can serve, 0 for one that is loaded and cannot",
      perModel,
    ),
    declaredCopies: gauge("cortex_model_declared_copies", "Copies that the fleet files want loaded", [
      "model",
    ]),
    servingCopies: gauge("cortex_model_serving_copies", "Copies that are loaded and can serve", ["model"]),
    workers: gauge("cortex_gateway_workers", "Processes of this gateway that serve requests", []),
    budget: gauge("cortex_key_budget_tokens", "Tokens that a key may spend within its window", ["key"]),
    budgetUsed: gauge(
      "cortex_key_budget_used_tokens",
      "Tokens that a key has spent within its window, and reserved for requests under way",
      ["key"],
    ),
    loaded: gauge("cortex_model_loaded", "1 for each loaded copy, 0 while it loads or leaves", perModel),
    inFlight: gauge("cortex_model_in_flight", "Requests a replica works on", perModel),
    queueDepth: gauge("cortex_model_queue_depth", "Requests that wait at a replica", perModel),
    maxInFlight: gauge("cortex_model_max_in_flight", "Slots of a replica", perModel),
    maxQueueDepth: gauge("cortex_model_max_queue_depth", "Places in a replica's queue", perModel),
    rejections: new Counter({
      name: "cortex_model_rejections_total",
      help: "Requests a replica refused since its start, as it counts them",
      labelNames: ["node", "model", "reason"],
      registers: [registry],
    }),
    loadWaiters: gauge("cortex_load_waiters", "Requests that wait for a load or a place", ["model"]),
    vramUsed: gauge("cortex_device_vram_used_mb", "Device memory in use, MiB", perDevice),
    vramFree: gauge("cortex_device_vram_free_mb", "Device memory free, MiB", perDevice),
    utilization: gauge("cortex_device_utilization_pct", "Device utilization, percent", perDevice),
    temperature: gauge("cortex_device_temp_c", "Device temperature, degrees Celsius", perDevice),
  };
}

/**
 * What is, rather than what happened. The function that is returned sets it afresh from the view and must run before
 * each scrape: a model that has left or a neuron that does not answer then keeps no stale series.
 */
export function registerFleetMetrics(registry: Registry, sources: MetricsSources): () => Promise<void> {
  const gauges = createFleetGauges(registry);
  const build = new Gauge({
    name: "cortex_build_info",
    help: "Always 1; the labels say what runs",
    labelNames: ["version", "git_sha"],
    registers: [registry],
  });
  build.set({ version: sources.build.packageVersion, git_sha: sources.build.gitSha }, 1);
  const started = new Gauge({
    name: "process_start_time_seconds",
    help: "Start of the gateway, seconds since the epoch: counters begin here",
    registers: [registry],
  });
  started.set(sources.startedAtMs / 1000);
  return async () => {
    const budgets = await sources.budgets();
    for (const gauge of Object.values(gauges)) gauge.reset();
    setFleetGauges(gauges, sources.view());
    setCopies(gauges, sources);
    gauges.workers.set(sources.workers());
    for (const { key, budgetTokens, usedTokens } of budgets) {
      gauges.budget.set({ key }, budgetTokens);
      gauges.budgetUsed.set({ key }, usedTokens);
    }
    for (const [model, { waiters }] of sources.queues()) gauges.loadWaiters.set({ model }, waiters.length);
  };
}

/** For each declared model, so that one without a copy shows as such and not as nothing. */
function setCopies(gauges: FleetGauges, { declaredCopies, view }: MetricsSources): void {
  const serving = new Map<string, number>();
  for (const { health, models } of view().neurons.values()) {
    if (health !== "healthy") continue;
    for (const { id, status, servable } of models.values()) {
      if (status === "loaded" && servable.ok) serving.set(id, (serving.get(id) ?? 0) + 1);
    }
  }
  for (const [model, copies] of declaredCopies()) {
    gauges.declaredCopies.set({ model }, copies);
    gauges.servingCopies.set({ model }, serving.get(model) ?? 0);
  }
}

function setFleetGauges(gauges: FleetGauges, view: FleetView): void {
  for (const neuron of view.neurons.values()) {
    const node = neuron.name;
    gauges.healthy.set({ node }, neuron.health === "healthy" ? 1 : 0);
    gauges.misses.set({ node }, neuron.misses);
    if (neuron.health !== "healthy") continue;
    for (const model of neuron.models.values()) {
      const isLoaded = model.status === "loaded";
      gauges.loaded.set({ node, model: model.id }, isLoaded ? 1 : 0);
      if (isLoaded) gauges.servable.set({ node, model: model.id }, model.servable.ok ? 1 : 0);
    }
    for (const load of neuron.loads.values()) {
      const labels = { node, model: load.id };
      gauges.inFlight.set(labels, load.in_flight);
      gauges.queueDepth.set(labels, load.queue_depth);
      gauges.maxInFlight.set(labels, load.max_in_flight);
      gauges.maxQueueDepth.set(labels, load.max_queue_depth);
      gauges.rejections.inc({ ...labels, reason: "queue_full" }, load.rejected_queue_full);
    }
    for (const reading of neuron.readings) {
      const labels = { node, device: String(reading.index) };
      gauges.vramUsed.set(labels, reading.vram_used_mb);
      gauges.vramFree.set(labels, reading.vram_free_mb);
      if (reading.utilization_pct !== null) gauges.utilization.set(labels, reading.utilization_pct);
      if (reading.temp_c !== null) gauges.temperature.set(labels, reading.temp_c);
    }
  }
}
