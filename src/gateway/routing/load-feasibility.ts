import { compareText } from "../../core/order.ts";
import type { ModelBlock, NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { Device } from "../../protocol/neuron-api.ts";
import type { NeuronView } from "../view/fleet-view.ts";

export type Feasibility =
  | { readonly kind: "feasible" }
  /** What the fleet files or the machine rule out for good; `reason` speaks in terms of the fleet file. */
  | { readonly kind: "impossible"; readonly reason: string }
  /** The neuron never answered, so its devices are not known. */
  | { readonly kind: "unknown"; readonly reason: string };

/** Whether a neuron can ever hold a model. Free memory plays no part: that changes by the second. */
export function feasibilityOf(block: ModelBlock, neuron: NeuronBlock, view: NeuronView): Feasibility {
  if (block.pinned_on.length > 0 && !block.pinned_on.includes(neuron.name)) {
    return impossible(`not in pinned_on = [${block.pinned_on.map((name) => `"${name}"`).join(", ")}]`);
  }
  if (neuron.drain) return impossible("drain = true");
  if (view.discovery === null) return { kind: "unknown", reason: "has not answered yet" };
  if (!view.discovery.harnesses.includes(block.harness)) {
    return impossible(`harness = "${block.harness}", but it offers [${view.discovery.harnesses.join(", ")}]`);
  }
  const { devices } = view.discovery;
  if (devices.length < block.min_devices) {
    const why = view.discovery.cuda_unavailable_reason;
    const found = `min_devices = ${block.min_devices}, but it has ${devices.length}`;
    return impossible(why === null ? found : `${found} (${why})`);
  }
  const floorMb = block.min_device_vram_mb ?? 0;
  const largeEnough = devices.filter((device) => device.vram_total_mb >= floorMb);
  if (largeEnough.length >= block.min_devices) return { kind: "feasible" };
  const largestMb = Math.max(0, ...devices.map((device) => device.vram_total_mb));
  return impossible(
    `min_device_vram_mb = ${floorMb} on ${block.min_devices} device(s), but only ${largeEnough.length} ` +
      `of its devices have that (the largest has ${largestMb})`,
  );
}

const impossible = (reason: string): Feasibility => ({ kind: "impossible", reason });

export interface LoadCandidate {
  readonly neuron: NeuronView;
  /** Another copy is there already, leaving or unable to serve. */
  readonly present: boolean;
  readonly pinned: boolean;
  readonly fits: boolean;
  /** Free memory of the devices that the model would take, MiB. */
  readonly freeMb: number;
}

/**
 * Free memory counts both what the driver reports and what residents have reserved: a load that has just begun
 * has taken nothing from the driver yet.
 */
export function loadCandidate(block: ModelBlock, neuron: NeuronView): LoadCandidate {
  const floorMb = block.min_device_vram_mb ?? 0;
  const freePerDevice = (neuron.discovery?.devices ?? [])
    .filter((device) => device.vram_total_mb >= floorMb)
    .map((device) => freeOnDevice(device, neuron))
    .sort((left, right) => right - left);
  const freeMb = freePerDevice.slice(0, block.min_devices).reduce((sum, free) => sum + free, 0);
  return {
    neuron,
    present: neuron.models.has(block.id),
    pinned: block.pinned_on.includes(neuron.name),
    fits: block.vram_mb === undefined || freeMb >= block.vram_mb,
    freeMb,
  };
}

function freeOnDevice(device: Device, neuron: NeuronView): number {
  const reading = neuron.readings.find((candidate) => candidate.index === device.index);
  let reservedMb = 0;
  for (const model of neuron.models.values()) {
    if (model.devices.includes(device.index)) reservedMb += model.vram_used_mb / model.devices.length;
  }
  const unreservedMb = Math.max(0, Math.floor(device.vram_total_mb - reservedMb));
  return Math.min(reading?.vram_free_mb ?? device.vram_total_mb, unreservedMb);
}

/**
 * Best place first: where no copy is in the way, pinned, where it fits as things are, most free memory, name.
 * `pinned_on` is a whitelist, so today all candidates of one model are pinned or none is.
 */
export function byPreference(left: LoadCandidate, right: LoadCandidate): number {
  return (
    Number(left.present) - Number(right.present) ||
    Number(right.pinned) - Number(left.pinned) ||
    Number(right.fits) - Number(left.fits) ||
    right.freeMb - left.freeMb ||
    compareText(left.neuron.name, right.neuron.name)
  );
}
