import { Registry } from "prom-client";
import { createGatewayMetrics, registerFleetMetrics } from "../src/gateway/io/gateway-metrics.ts";
import { initialFleetView } from "../src/gateway/view/fleet-view.ts";
import { createNeuronMetrics } from "../src/neuron/io/neuron-metrics.ts";
import { metricsText } from "../src/controller/reconcile/metrics-text.ts";
import { beginLoop } from "../src/controller/reconcile/loop.ts";

export interface ExportedSeries {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** A registry's own metric knows its labels before there is a sample of it. */
type KnownMetric = ReturnType<Registry["getMetricsAsArray"]>[number] & {
  readonly labelNames: readonly string[];
  readonly type: string;
};

const seriesIn = (registry: Registry): readonly ExportedSeries[] =>
  registry.getMetricsAsArray().map((metric) => {
    const { name, help, labelNames: labels, type } = metric as KnownMetric;
    return { name, help, labels, type };
  });

/** Everything that a gateway exports at /metrics. */
export function gatewaySeries(): readonly ExportedSeries[] {
  const registry = new Registry();
  createGatewayMetrics(registry);
  registerFleetMetrics(registry, {
    workers: () => 1,
    view: () => initialFleetView([]),
    queues: () => new Map(),
    declaredCopies: () => [],
    budgets: () => Promise.resolve([]),
    build: { packageVersion: "", gitSha: "" },
    startedAtMs: 0,
  });
  return seriesIn(registry);
}

export function neuronSeries(): readonly ExportedSeries[] {
  const registry = new Registry();
  createNeuronMetrics(() => {
    throw new Error("nothing is scraped here");
  }, registry);
  return seriesIn(registry);
}

/** The loop writes its text itself: what it writes is read. */
export function reconcileSeries(): readonly ExportedSeries[] {
  const text = metricsText(beginLoop(0, 0).state, "home");
  return [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n\S+?\{(.*?)\} /gm)].map(
    ([, name = "", help = "", type = "", labels = ""]) => ({
      name,
      help,
      type,
      labels: [...labels.matchAll(/(\w+)="/g)].map(([, label = ""]) => label),
    }),
  );
}
