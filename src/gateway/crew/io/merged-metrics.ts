import { AggregatorRegistry, type Registry } from "prom-client";
import type { MetricMessage } from "../crew-messages.ts";

/** What a registry holds now, to be told to another process. */
export const metricsOf = (registry: Registry): Promise<readonly MetricMessage[]> =>
  registry.getMetricsAsJSON();

/** Counters and histograms go on after their process; what is now in flight has ended with it. */
export const lasting = (metrics: readonly MetricMessage[]): readonly MetricMessage[] =>
  metrics.filter(({ type }) => type !== "gauge");

/** One exposition: figures of one series of several processes are added up. */
export async function exposition(all: readonly (readonly MetricMessage[])[]): Promise<string> {
  return AggregatorRegistry.aggregate([...all]).metrics();
}

/** Added up, so that what is kept of dead workers does not grow with their number. */
export async function addedUp(all: readonly (readonly MetricMessage[])[]): Promise<readonly MetricMessage[]> {
  return metricsOf(AggregatorRegistry.aggregate([...all]));
}
