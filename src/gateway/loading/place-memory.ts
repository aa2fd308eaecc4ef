import { spreadableDevices } from "../../protocol/model-spec.ts";
import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { Device, ResidentModel } from "../../protocol/neuron-api.ts";
import type { NeuronView } from "../view/fleet-view.ts";
import type { Scheduler } from "./scheduler-state.ts";

/**
 * Memory that a model could have on a neuron once `gone` have left, MiB: of as many devices as it is spread over,
 * those with the most. Free memory counts both what the driver reports and what residents have reserved: a load that
 * has just begun has taken nothing from the driver yet.
 */
export function obtainableMib(
  block: ModelBlock,
  neuron: NeuronView,
  gone: ReadonlySet<ResidentModel>,
): number {
  const floorMib = block.min_device_vram_mb ?? 0;
  return spreadableDevices(neuron.discovery?.devices ?? [], block.min_devices)
    .filter((device) => device.vram_total_mb >= floorMib)
    .map((device) => freeOnDevice(device, neuron, gone))
    .sort((left, right) => right - left)
    .slice(0, block.min_devices)
    .reduce((sum, free) => sum + free, 0);
}

function freeOnDevice(device: Device, neuron: NeuronView, gone: ReadonlySet<ResidentModel>): number {
  const reading = neuron.readings.find((candidate) => candidate.index === device.index);
  let reservedMib = 0;
  let freedMib = 0;
  for (const model of neuron.models.values()) {
    const share = shareOn(model, device.index);
    if (gone.has(model)) freedMib += share;
    else reservedMib += share;
  }
  const unreserved = Math.max(0, device.vram_total_mb - reservedMib);
  return Math.floor(Math.min((reading?.vram_free_mb ?? device.vram_total_mb) + freedMib, unreserved));
}

function shareOn(model: ResidentModel, index: number): number {
  const position = model.devices.indexOf(index);
  if (position === -1) return 0;
  return model.device_vram_mb?.[position] ?? model.vram_used_mb / model.devices.length;
}

/** What a model takes, as far as anybody knows: what a neuron asked for, what is declared, or what a copy takes. */
export function neededMib(state: Scheduler, modelId: string): number | undefined {
  const asked = state.neededMib.get(modelId) ?? state.fleet.modelsById.get(modelId)?.vram_mb;
  if (asked !== undefined) return asked;
  for (const neuron of state.view.neurons.values()) {
    const copy = neuron.models.get(modelId);
    if (copy?.vram_measured === true) return copy.vram_used_mb;
  }
  return undefined;
}

/** Loads that this gateway has begun on a neuron and that the neuron does not show yet. */
export function unseenLoads(
  state: Scheduler,
  neuron: NeuronView,
): { readonly count: number; readonly mib: number } {
  let count = 0;
  let mib = 0;
  for (const load of state.loads.values()) {
    if (load.neuron !== neuron.name || neuron.models.has(load.modelId)) continue;
    count += 1;
    mib += neededMib(state, load.modelId) ?? 0;
  }
  return { count, mib };
}
