import { spreadableDevices } from "../../protocol/model-spec.ts";
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
export function feasibilityOf(
  block: ModelBlock,
  neuron: NeuronBlock,
  { view, learntMib }: { readonly view: NeuronView; readonly learntMib?: number | undefined },
): Feasibility {
  if (block.pinned_on.length > 0 && !block.pinned_on.includes(neuron.name)) {
    return impossible(`not in pinned_on = [${block.pinned_on.map((name) => `"${name}"`).join(", ")}]`);
  }
  if (neuron.drain) return impossible("drain = true");
  if (view.discovery === null) return { kind: "unknown", reason: "has not answered yet" };
  if (!view.discovery.harnesses.includes(block.harness)) {
    const { harnesses, engine_unavailable_reason: missing } = view.discovery;
    const offered = `harness = "${block.harness}", but it offers [${harnesses.join(", ")}]`;
    return impossible(missing === undefined ? offered : `${offered} (${missing})`);
  }
  const devices = spreadableDevices(view.discovery.devices, block.min_devices);
  if (devices.length < block.min_devices) {
    const why = view.discovery.cuda_unavailable_reason;
    const found = `min_devices = ${block.min_devices}, but it has ${devices.length}`;
    return impossible(why === null ? found : `${found} (${why})`);
  }
  const floorMb = block.min_device_vram_mb ?? 0;
  const largeEnough = devices.filter((device) => device.vram_total_mb >= floorMb);
  if (largeEnough.length >= block.min_devices) return fitsAltogether(block, largeEnough, learntMib);
  const largestMb = Math.max(0, ...devices.map((device) => device.vram_total_mb));
  return impossible(
    `min_device_vram_mb = ${floorMb} on ${block.min_devices} device(s), but only ${largeEnough.length} ` +
      `of its devices have that (the largest has ${largestMb})`,
  );
}

/** What the model takes against all that its devices have, whoever holds it now. */
function fitsAltogether(
  block: ModelBlock,
  devices: readonly Device[],
  learntMib: number | undefined,
): Feasibility {
  const totalsMb = devices.map((device) => device.vram_total_mb).sort((left, right) => right - left);
  const mostMb = totalsMb.slice(0, block.min_devices).reduce((sum, totalMb) => sum + totalMb, 0);
  const neededMb = learntMib ?? block.vram_mb;
  if (neededMb === undefined || neededMb <= mostMb) return { kind: "feasible" };
  const which =
    block.min_devices === 1 ? "its largest device has" : `its ${block.min_devices} largest devices have`;
  const takes = learntMib === undefined ? `vram_mb = ${neededMb}` : `it takes ${neededMb} MiB`;
  return impossible(`${takes}, but ${which} ${mostMb}`);
}

const impossible = (reason: string): Feasibility => ({ kind: "impossible", reason });
