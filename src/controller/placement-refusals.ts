import type { NeuronBlock } from "../fleet/fleet-schema.ts";
import type { DesiredModel } from "./desired-models.ts";
import { eligibleDevices, sharesTotal, type Fit, type NeuronRoom } from "./device-room.ts";
import type { ObservedNeuron, ReachableNeuron } from "./observed-fleet.ts";

/** Why a neuron does not take a copy, in terms of the fleet files. `shortMb` when only memory is missing. */
export interface Refusal {
  readonly neuron: string;
  readonly reason: string;
  readonly shortMb?: number;
}

/** What rules a neuron out whatever is loaded there; undefined when only memory can decide. */
export function standingRefusal(
  model: DesiredModel,
  block: NeuronBlock,
  observed: ObservedNeuron | undefined,
): string | undefined {
  const { pinned_on: pins } = model.block;
  if (pins.length > 0 && !pins.includes(block.name)) {
    return `not in pinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]`;
  }
  if (block.drain) return "drain = true";
  if (observed === undefined) return "was not observed";
  if (!observed.reachable) return `does not answer: ${observed.problem}`;
  if (observed.health.status === "draining") return "is draining: it takes no new work until it is resumed";
  if (!observed.discovery.harnesses.includes(model.block.harness)) {
    return `harness = "${model.block.harness}", but it offers ${observed.discovery.harnesses.join(", ") || "none"}`;
  }
  return deviceRefusal(model, observed);
}

function deviceRefusal(model: DesiredModel, neuron: ReachableNeuron): string | undefined {
  const { minDevices, minDeviceVramMb } = model.need;
  const { devices, cuda_unavailable_reason: why } = neuron.discovery;
  if (devices.length < minDevices) {
    const found = `min_devices = ${minDevices}, but it has ${devices.length}`;
    return why === null ? found : `${found} (${why})`;
  }
  const eligible = eligibleDevices(neuron, model.need);
  if (eligible.length >= minDevices) return undefined;
  const largestMb = Math.max(0, ...devices.map((device) => device.vram_total_mb));
  return (
    `min_device_vram_mb = ${minDeviceVramMb} on ${minDevices} device(s), but ${eligible.length} of its ` +
    `${devices.length} have that; the largest has ${largestMb} MB`
  );
}

/** The numbers behind "no room": what is needed, what is free, and who holds the rest. */
export function memoryRefusal(model: DesiredModel, room: NeuronRoom, lack: Fit & { fits: false }): Refusal {
  const neuron = room.neuron.name;
  const capacityMb = largestCapacity(room.neuron, model);
  const { footprintMb, minDevices } = model.need;
  const on = minDevices === 1 ? "one device" : `${minDevices} devices`;
  if (footprintMb !== undefined && footprintMb > capacityMb) {
    const reason = `needs ${footprintMb} MB on ${on}, but they have ${capacityMb} MB when empty`;
    return { neuron, reason, shortMb: footprintMb - capacityMb };
  }
  const holders = holdersText(room);
  const need =
    footprintMb === undefined ? "some free memory (its size is not known yet)" : `${footprintMb} MB`;
  return {
    neuron,
    reason: `needs ${need} on ${on}, but ${lack.freeMb} MB are free${holders}`,
    shortMb: lack.shortMb,
  };
}

function largestCapacity(neuron: ReachableNeuron, model: DesiredModel): number {
  return eligibleDevices(neuron, model.need)
    .map((device) => device.vram_total_mb)
    .sort((left, right) => right - left)
    .slice(0, model.need.minDevices)
    .reduce((total, vramMb) => total + vramMb, 0);
}

function holdersText(room: NeuronRoom): string {
  const tenants = room.tenants
    .toSorted(
      (left, right) =>
        sharesTotal(right.shares) - sharesTotal(left.shares) || (left.modelId < right.modelId ? -1 : 1),
    )
    .map((tenant) => `${tenant.modelId} holds ${sharesTotal(tenant.shares)} MB`);
  const foreignMb = sharesTotal(room.foreign);
  if (foreignMb > 0) tenants.push(`other processes hold ${foreignMb} MB`);
  return tenants.length === 0 ? "" : `: ${tenants.join(", ")}`;
}

/** The least change that would make a copy fit, as far as one look can tell. */
export function placementHint(model: DesiredModel, refusals: readonly Refusal[]): string {
  const closest = refusals
    .filter((refusal) => refusal.shortMb !== undefined)
    .sort(
      (left, right) => (left.shortMb ?? 0) - (right.shortMb ?? 0) || (left.neuron < right.neuron ? -1 : 1),
    )[0];
  if (closest?.shortMb !== undefined) {
    const lacking =
      model.need.footprintMb === undefined ? "has no free memory" : `is ${closest.shortMb} MB short`;
    return `${closest.neuron} comes closest and ${lacking}: lower \`context\` or \`parallel\`, lower \`replicas\` of a model there, or raise this model's residency_priority`;
  }
  if (refusals.every(({ reason }) => reason.startsWith("not in pinned_on") || reason === "drain = true")) {
    return "allow another neuron in pinned_on, or end the drain";
  }
  if (refusals.some(({ reason }) => reason.startsWith("does not answer"))) {
    return "bring the neuron back that does not answer, or allow another one";
  }
  return "lower min_devices or min_device_vram_mb, lower `replicas`, or add a neuron that has what the block asks for";
}
