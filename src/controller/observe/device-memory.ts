import { spreadableDevices } from "../../protocol/model-spec.ts";
import { compareText } from "../../core/order.ts";
import { onceFor } from "../../core/once-for.ts";
import { present } from "../../core/present.ts";
import type { Device, ResidentModel } from "../../protocol/neuron-api.ts";
import type { ReachableNeuron } from "./observed-fleet.ts";

/** Device index to MiB. */
export type Shares = ReadonlyMap<number, number>;

/**
 * Where a figure of memory comes from, best first. "metadata": the header of the model's file; "similar": a loaded copy
 * of the model with other settings.
 */
export type SizeSource = "measured" | "metadata" | "declared" | "similar" | "unknown";

/** The least that a neuron must have for a model, whatever is on it. */
export interface DeviceFloor {
  readonly minDevices: number;
  /** Of each of these devices. */
  readonly minDeviceMib: number;
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

export const sharesTotal = (shares: Shares): number => sum(shares.values());

/**
 * The memory of every resident per device: as the neuron says, else split by what the driver says is used there,
 * narrow models first because theirs is the surest.
 */
export const residentShares = onceFor((neuron: ReachableNeuron): ReadonlyMap<string, Shares> => {
  const used = new Map(neuron.health.devices.map((reading) => [reading.index, reading.vram_used_mb]));
  const byWidth = neuron.models.toSorted(
    (left, right) => left.devices.length - right.devices.length || compareText(left.id, right.id),
  );
  const shares = new Map<string, Shares>();
  for (const model of byWidth) {
    const weights = model.devices.map((index) => Math.max(0, used.get(index) ?? 0));
    const split = statedSplit(model) ?? splitByWeight(model.vram_used_mb, model.devices, weights);
    for (const [index, share] of split) used.set(index, (used.get(index) ?? 0) - share);
    shares.set(model.id, split);
  }
  return shares;
});

function statedSplit({ devices, device_vram_mb: stated }: ResidentModel): Shares | undefined {
  if (stated?.length !== devices.length) return undefined;
  return new Map(
    devices.map((index, position) => [index, present(stated[position], "the memory on device", index)]),
  );
}

/** What the driver reports as used beyond the neuron's own models. */
export const foreignMemory = onceFor((neuron: ReachableNeuron): Shares => {
  const ours = new Map<number, number>();
  for (const shares of residentShares(neuron).values())
    for (const [index, share] of shares) ours.set(index, (ours.get(index) ?? 0) + share);
  return new Map(
    neuron.discovery.devices.map((device) => {
      const reading = neuron.health.devices.find(({ index }) => index === device.index);
      const foreign = Math.max(0, (reading?.vram_used_mb ?? 0) - (ours.get(device.index) ?? 0));
      return [device.index, Math.min(device.vram_total_mb, foreign)];
    }),
  );
});

/** Devices that meet the block's floor, whatever is on them now. */
export const eligibleDevices = (neuron: ReachableNeuron, floor: DeviceFloor): Device[] =>
  spreadableDevices(neuron.discovery.devices, floor.minDevices).filter(
    (device) => device.vram_total_mb >= floor.minDeviceMib,
  );

/** Whole MiB that add up to `total`; a share never exceeds its weight while the weights cover the total. */
export function splitByWeight(total: number, indices: readonly number[], weights: readonly number[]): Shares {
  const weightSum = sum(weights);
  const shares = new Map<number, number>();
  let remaining = total;
  for (const [position, index] of indices.entries()) {
    const weight = present(weights[position], "the weight of device", index);
    const even = total / indices.length;
    const share = Math.min(remaining, Math.ceil(weightSum === 0 ? even : (total * weight) / weightSum));
    shares.set(index, share);
    remaining -= share;
  }
  return shares;
}
