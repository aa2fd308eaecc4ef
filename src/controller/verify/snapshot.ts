import type { FleetSnapshot, SnapshotNeuron } from "../../protocol/fleet-snapshot.ts";
import type { PlanChange, PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";
import { Findings } from "./findings.ts";
import { digestOf } from "./structure.ts";

/** What the plan says it saw is what the snapshot recorded. */
export function verifySnapshot(plan: PlanDocument, snapshot: FleetSnapshot): Findings {
  const found = new Findings();
  const where = "document";
  found.expect(plan.fleet === snapshot.fleet, "snapshot", {
    where,
    message: `is of fleet ${plan.fleet}, and the snapshot of ${snapshot.fleet}`,
  });
  found.expect(plan.observation.digest === digestOf(snapshot), "snapshot", {
    where,
    message: "was made from another snapshot",
  });
  found.expect(plan.observation.taken_at_ms === snapshot.taken_at_ms, "snapshot", {
    where,
    message: `was made from an observation of another time than ${snapshot.taken_at_ms}`,
  });
  const recorded = new Map(snapshot.neurons.map((neuron) => [neuron.name, neuron]));
  for (const neuron of plan.neurons) verifyNeuron(found, neuron, recorded.get(neuron.name));
  for (const change of plan.changes)
    verifyRequests(found, change, { neuron: recorded.get(change.neuron), traffic: snapshot.traffic });
  return found;
}

function verifyNeuron(found: Findings, planned: PlanNeuron, seen: SnapshotNeuron | undefined): void {
  const where = planned.name;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "snapshot", { where, message });
  };
  const answered = seen?.reachable === true;
  expect(planned.reachable === answered, answered ? "answered, and the plan says not" : "did not answer");
  if (seen?.reachable !== true || !planned.reachable) return;
  expect(planned.generation === seen.generation, `was at generation ${seen.generation}`);
  expect(planned.status === seen.health.status, `was ${seen.health.status}`);
  expect(harnesses(planned.harnesses) === harnesses(seen.discovery.harnesses), "offers other harnesses");
  expect(
    planned.observation_digest === factsDigest(seen),
    "was in another state than the plan takes for granted",
  );
  expect(planned.disk_free_bytes === seen.discovery.disk_free_bytes, "had other room on its disk");
  expect(planned.models.length === seen.models.length, `held ${seen.models.length} models`);
  for (const model of seen.models) verifyModel(found, planned, model);
  expect(planned.devices.length === seen.discovery.devices.length, "has another number of devices");
  verifyDevices(found, planned, seen);
}

/** The work that a row interrupts is what was seen, neither more nor less. */
function verifyRequests(
  found: Findings,
  change: PlanChange,
  {
    neuron,
    traffic,
  }: { readonly neuron: SnapshotNeuron | undefined; readonly traffic: FleetSnapshot["traffic"] },
): void {
  if (change.requests === null || neuron?.reachable !== true) return;
  const { in_flight, queued, per_minute } = change.requests;
  found.expect(
    `${in_flight} ${queued} ${per_minute}` === requestsSeen(neuron, change.model_id, traffic),
    "snapshot",
    { where: change.id, message: "says that other requests are served than were seen" },
  );
}

function requestsSeen(neuron: AnsweringNeuron, modelId: string, traffic: FleetSnapshot["traffic"]): string {
  const load = neuron.health.models.find(({ id }) => id === modelId);
  const copy = traffic?.copies.find((row) => row.neuron === neuron.name && row.model_id === modelId);
  const perMinute = traffic === null ? null : (copy?.requests_per_minute ?? 0);
  return `${load?.in_flight ?? 0} ${load?.queue_depth ?? 0} ${perMinute}`;
}

/** What apply compares the neuron with before it changes anything: nothing that moves by itself. */
const factsDigest = ({ generation, health, discovery, models }: AnsweringNeuron): string =>
  digestOf({
    generation,
    status: health.status,
    harnesses: discovery.harnesses.toSorted(),
    devices: discovery.devices
      .map(({ index, name, kind, vram_total_mb }) => ({ index, name, kind, vram_total_mb }))
      .toSorted((left, right) => left.index - right.index),
    models: models
      .map(({ id, spec_hash, status, origin, fleet, devices }) => ({
        model_id: id,
        spec_hash,
        status,
        origin,
        fleet: fleet ?? null,
        devices,
      }))
      .toSorted((left, right) => (left.model_id < right.model_id ? -1 : 1)),
  });

type AnsweringNeuron = SnapshotNeuron & { readonly reachable: true };

const harnesses = (list: readonly string[]): string => list.toSorted().join(", ");

function verifyDevices(found: Findings, planned: PlanNeuron, seen: AnsweringNeuron): void {
  const where = planned.name;
  for (const device of seen.discovery.devices) {
    const same = planned.devices.find(({ index }) => index === device.index);
    const isSame =
      same?.vram_total_mb === device.vram_total_mb && same.kind === device.kind && same.name === device.name;
    const message = `device ${device.index} has ${device.vram_total_mb} MB`;
    found.expect(isSame, "snapshot", { where, message });
    const used = memoryInUse(planned, seen, device.index);
    found.expect(same?.vram_before_mb === used, "memory_figures", {
      where,
      message: `device ${device.index} had ${used} MB in use, not ${same?.vram_before_mb ?? 0} MB`,
    });
  }
}

function verifyModel(found: Findings, planned: PlanNeuron, model: AnsweringNeuron["models"][number]): void {
  const same = planned.models.find(({ model_id }) => model_id === model.id);
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "snapshot", { where: planned.name, message });
  };
  expect(same !== undefined, `held ${model.id}`);
  if (same === undefined) return;
  expect(
    same.spec_hash === model.spec_hash && same.status === model.status,
    `held ${model.id} in another state`,
  );
  expect(same.origin === model.origin, `held ${model.id}, loaded by ${model.origin}`);
  expect(same.fleet === (model.fleet ?? null), `held ${model.id} of the fleet ${model.fleet ?? "unknown"}`);
  expect(same.devices.join(",") === model.devices.join(","), `held ${model.id} on other devices`);
  const split = same.device_vram_mb.reduce((sum, mb) => sum + mb, 0);
  expect(split === model.vram_used_mb, `${model.id} held ${model.vram_used_mb} MB`);
  const stated = model.device_vram_mb;
  if (stated?.length === model.devices.length) {
    expect(
      stated.join(",") === same.device_vram_mb.join(","),
      `${model.id} states another split over its devices`,
    );
  }
}

/** The driver's figure or what the models hold, whichever is more; what is leaving already is not counted. */
function memoryInUse(planned: PlanNeuron, seen: AnsweringNeuron, device: number): number {
  const reading = seen.health.devices.find(({ index }) => index === device)?.vram_used_mb ?? 0;
  const total = seen.discovery.devices.find(({ index }) => index === device)?.vram_total_mb ?? 0;
  const held = (leaving: boolean): number =>
    planned.models
      .filter(({ status }) => (status === "unloading") === leaving)
      .reduce((sum, model) => sum + (model.device_vram_mb[model.devices.indexOf(device)] ?? 0), 0);
  const others = Math.min(total, Math.max(0, reading - held(true) - held(false)));
  return others + held(false);
}
