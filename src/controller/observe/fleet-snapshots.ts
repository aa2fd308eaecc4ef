import { by } from "../../core/order.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { canonicalDigest } from "../../core/canonical-digest.ts";
import {
  fleetSnapshotSchema,
  SNAPSHOT_FORMAT_VERSION,
  type FleetSnapshot,
  type SnapshotModel,
  type SnapshotNeuron,
} from "../../protocol/fleet-snapshot.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import type { ObservedFleet, ObservedNeuron, ObservedTraffic, ReachableNeuron } from "./observed-fleet.ts";

/** The observation as a file may hold it. The schema strips what it does not name, so nothing slips through. */
export function snapshotOfFleet(fleetName: string, observed: ObservedFleet): FleetSnapshot {
  return fleetSnapshotSchema.parse({
    format_version: SNAPSHOT_FORMAT_VERSION,
    fleet: fleetName,
    taken_at_ms: observed.observedAtMs,
    neurons: observed.neurons.map(snapshotNeuron).toSorted(by(({ name }) => name)),
    traffic: observed.traffic === undefined ? null : snapshotTraffic(observed.traffic),
  });
}

/** The same for every order of neurons, models and keys. */
export const snapshotDigest = (snapshot: FleetSnapshot): string => canonicalDigest(snapshot);

function snapshotNeuron(neuron: ObservedNeuron): Record<string, unknown> & { readonly name: string } {
  const { name } = neuron;
  if (!neuron.reachable) return { name, reachable: false, problem: withoutCredentials(neuron.problem) };
  return {
    name,
    reachable: true,
    generation: neuron.generation,
    discovery: neuron.discovery,
    health: { ...neuron.health, models: neuron.health.models.toSorted(by(({ id }) => id)) },
    models: neuron.models
      .map((model) => ({
        ...model,
        origin: model.origin.kind,
        fleet: model.origin.fleet,
        servable: model.servable.ok,
      }))
      .toSorted(by(({ id }) => id)),
  };
}

/** A problem may quote an address, and an address may hold a password. */
export const withoutCredentials = (text: string): string => text.replaceAll(/\/\/[^/@\s]*@/g, "//");

const snapshotTraffic = (traffic: ObservedTraffic): FleetSnapshot["traffic"] => ({
  window_secs: traffic.windowSecs,
  copies: traffic.copies
    .map((copy) => ({
      neuron: copy.neuron,
      model_id: copy.modelId,
      requests_per_minute: copy.requestsPerMinute,
    }))
    .toSorted(by((copy) => `${copy.neuron} ${copy.model_id}`)),
});

/**
 * The observation that a snapshot recorded, for the neurons that the fleet declares now: endpoints come from the
 * files, and a neuron that the snapshot does not know is one that did not answer.
 */
export function observedFromSnapshot(
  snapshot: FleetSnapshot,
  { neurons }: Pick<Fleet, "neurons">,
): ObservedFleet {
  const recorded = new Map(snapshot.neurons.map((neuron) => [neuron.name, neuron]));
  const observed = neurons.map(({ name, endpoint }): ObservedNeuron => {
    const neuron = recorded.get(name);
    if (neuron?.reachable === true) return reachableFrom(neuron, endpoint);
    return { name, endpoint, reachable: false, problem: neuron?.problem ?? "is not in the snapshot" };
  });
  const base = { observedAtMs: snapshot.taken_at_ms, neurons: observed };
  return snapshot.traffic === null ? base : { ...base, traffic: trafficFrom(snapshot.traffic) };
}

function reachableFrom(
  neuron: SnapshotNeuron & { readonly reachable: true },
  endpoint: string,
): ReachableNeuron {
  const { name, discovery, health, generation } = neuron;
  return {
    name,
    endpoint,
    reachable: true,
    generation,
    discovery: {
      ...discovery,
      // Left out of the file, and of no weight for a plan.
      hostname: name,
      os: "unknown",
      kernel: "unknown",
      cpu_cores: 1,
      driver_version: null,
      devices: discovery.devices.map((device) => ({ ...device, uuid: `${name}-${device.index}` })),
    },
    health: { ...health, uptime_secs: 0 },
    models: neuron.models.map(residentFrom),
  };
}

const residentFrom = ({ fleet, ...model }: SnapshotModel): ResidentModel => ({
  ...model,
  origin: { kind: model.origin, ...(fleet === undefined ? {} : { fleet }) },
  servable: { ok: model.servable },
  pid: null,
});

const trafficFrom = (traffic: NonNullable<FleetSnapshot["traffic"]>): ObservedTraffic => ({
  windowSecs: traffic.window_secs,
  copies: traffic.copies.map((copy) => ({
    neuron: copy.neuron,
    modelId: copy.model_id,
    requestsPerMinute: copy.requests_per_minute,
  })),
});
