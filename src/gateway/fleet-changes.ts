import type { FleetNeuronState, FleetState, FleetStateEvent } from "../protocol/gateway-api.ts";

/** The events that lead from one state to a later one, up to what only the clock changes (`applyFleetStateEvent`). */
export function fleetChanges(before: FleetState, after: FleetState): readonly FleetStateEvent[] {
  const old = new Map(before.neurons.map((neuron) => [neuron.name, neuron]));
  const names = new Set(after.neurons.map(({ name }) => name));
  const events: FleetStateEvent[] = [];
  for (const { name } of before.neurons) if (!names.has(name)) events.push({ kind: "neuron-removed", name });
  for (const neuron of after.neurons) {
    const known = old.get(neuron.name);
    const isSame = known !== undefined && same(timeless(known), timeless(neuron));
    if (!isSame) events.push({ kind: "neuron-changed", neuron });
  }
  if (!same(work(before), work(after))) {
    const { loads, queues, failed_loads } = after;
    events.push({ kind: "loads-changed", loads, queues, failed_loads });
  }
  const { traffic, health, workers, fleet, declared } = after;
  const isQuiet = same([before.health, before.traffic, before.workers], [health, traffic, workers]);
  if (traffic !== undefined && !isQuiet) {
    events.push({ kind: "traffic-changed", health, traffic, ...(workers === undefined ? {} : { workers }) });
  }
  const isDeclared = same([before.fleet, before.declared], [fleet, declared]);
  if (!isDeclared) events.push({ kind: "declaration-changed", fleet, declared });
  return events;
}

/** Both are plain data. */
const same = (left: unknown, right: unknown): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);

const timeless = (neuron: FleetNeuronState) => ({ ...neuron, last_seen_ms: null, uptime_secs: null });

const work = ({ loads, queues = [], failed_loads: failed = [] }: FleetState) => ({
  loads: loads.map((load) => ({ ...load, elapsed_ms: 0 })),
  queues: queues.map(({ model, waiting }) => ({ model, waiting })),
  // When the next try is due is told by two clocks, which differ by a little each time.
  failed: failed.map(({ model, node, code, times }) => ({ model, node, code, times })),
});
