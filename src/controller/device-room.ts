import type { Device, ResidentModel } from "../protocol/neuron-api.ts";
import type { ReachableNeuron } from "./observed-fleet.ts";

/**
 * Memory of one neuron as placement counts it, in whole MiB. It counts as the neuron's own ledger does: what a model
 * takes on several devices is split in proportion to what is free there, so it fits when the sum fits.
 */
export interface Tenant {
  readonly modelId: string;
  /** Residency class. */
  readonly priority: number;
  /** "fixed" never gives way; "on_demand" to its own class or higher; "resident" to a higher class only. */
  readonly rank: "fixed" | "on_demand" | "resident";
  readonly lastUsedMs: number;
  readonly shares: Shares;
}

/** Device index to MiB. */
export type Shares = ReadonlyMap<number, number>;

export interface NeuronRoom {
  readonly neuron: ReachableNeuron;
  /** Device index to MiB held by processes that are not models of this neuron. */
  readonly foreign: Shares;
  readonly tenants: readonly Tenant[];
}

export interface Need {
  readonly modelId: string;
  /** Undefined until the model was declared or measured: then any free memory will do. */
  readonly footprintMb: number | undefined;
  readonly minDevices: number;
  readonly minDeviceVramMb: number;
  /** Take these devices if they will do. */
  readonly preferredDevices?: readonly number[];
}

export type Fit =
  | { readonly fits: true; readonly shares: Shares; readonly freeAfterMb: number }
  | { readonly fits: false; readonly freeMb: number; readonly shortMb: number };

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

export const sharesTotal = (shares: Shares): number => sum(shares.values());

/**
 * The memory of every resident per device: as the neuron says, else split by what the driver says is used there,
 * narrow models first because theirs is the surest.
 */
export function residentShares(neuron: ReachableNeuron): ReadonlyMap<string, Shares> {
  const used = new Map(neuron.health.devices.map((reading) => [reading.index, reading.vram_used_mb]));
  const byWidth = neuron.models.toSorted(
    (left, right) => left.devices.length - right.devices.length || (left.id < right.id ? -1 : 1),
  );
  const shares = new Map<string, Shares>();
  for (const model of byWidth) {
    const weights = model.devices.map((index) => Math.max(0, used.get(index) ?? 0));
    const split = statedSplit(model) ?? splitByWeight(model.vram_used_mb, model.devices, weights);
    for (const [index, share] of split) used.set(index, (used.get(index) ?? 0) - share);
    shares.set(model.id, split);
  }
  return shares;
}

function statedSplit({ devices, device_vram_mb: stated }: ResidentModel): Shares | undefined {
  if (stated?.length !== devices.length) return undefined;
  return new Map(devices.map((index, position) => [index, stated[position] ?? 0]));
}

/** What the driver reports as used beyond the neuron's own models. */
export function foreignMemory(neuron: ReachableNeuron): Shares {
  const held = [...residentShares(neuron).values()];
  return new Map(
    neuron.discovery.devices.map((device) => {
      const reading = neuron.health.devices.find(({ index }) => index === device.index);
      const ours = sum(held.map((shares) => shares.get(device.index) ?? 0));
      const foreign = Math.max(0, (reading?.vram_used_mb ?? 0) - ours);
      return [device.index, Math.min(device.vram_total_mb, foreign)];
    }),
  );
}

export function freeOnDevice(room: NeuronRoom, device: Device): number {
  const held = sum(room.tenants.map((tenant) => tenant.shares.get(device.index) ?? 0));
  return Math.max(0, device.vram_total_mb - (room.foreign.get(device.index) ?? 0) - held);
}

/** Devices that meet the block's floor, whatever is on them now. */
export const eligibleDevices = (neuron: ReachableNeuron, need: Need): Device[] =>
  neuron.discovery.devices.filter((device) => device.vram_total_mb >= need.minDeviceVramMb);

/** Puts the need on the preferred devices, else on those with the most free memory. */
export function fit(room: NeuronRoom, need: Need): Fit {
  const byFreeMemory = eligibleDevices(room.neuron, need)
    .map((device) => ({ index: device.index, freeMb: freeOnDevice(room, device) }))
    .sort((left, right) => right.freeMb - left.freeMb || left.index - right.index);
  const preferred = byFreeMemory.filter(({ index }) => need.preferredDevices?.includes(index) === true);
  if (preferred.length === need.minDevices) {
    const there = fitOn(preferred, need);
    if (there.fits) return there;
  }
  return fitOn(byFreeMemory.slice(0, need.minDevices), need);
}

function fitOn(chosen: readonly { readonly index: number; readonly freeMb: number }[], need: Need): Fit {
  const freeMb = sum(chosen.map((device) => device.freeMb));
  const indices = chosen.map((device) => device.index).sort((left, right) => left - right);
  if (need.footprintMb === undefined) {
    const hasRoom = chosen.length > 0 && chosen.every((device) => device.freeMb > 0);
    if (!hasRoom) return { fits: false, freeMb, shortMb: 1 };
    return { fits: true, shares: new Map(indices.map((index) => [index, 0])), freeAfterMb: freeMb };
  }
  if (need.footprintMb > freeMb) return { fits: false, freeMb, shortMb: need.footprintMb - freeMb };
  const free = new Map(chosen.map((device) => [device.index, device.freeMb]));
  const weights = indices.map((index) => free.get(index) ?? 0);
  const shares = splitByWeight(need.footprintMb, indices, weights);
  return { fits: true, shares, freeAfterMb: freeMb - need.footprintMb };
}

/** Whole MiB that add up to `total`; a share never exceeds its weight while the weights cover the total. */
function splitByWeight(total: number, indices: readonly number[], weights: readonly number[]): Shares {
  const weightSum = sum(weights);
  const shares = new Map<number, number>();
  let remaining = total;
  for (const [position, index] of indices.entries()) {
    const weight = weights[position] ?? 0;
    const even = total / indices.length;
    const share = Math.min(remaining, Math.ceil(weightSum === 0 ? even : (total * weight) / weightSum));
    shares.set(index, share);
    remaining -= share;
  }
  return shares;
}

/** Who may be asked to leave for a model of class `priority`, those who matter least first. */
export function displaceable(room: NeuronRoom, priority: number): Tenant[] {
  return room.tenants
    .filter(
      (tenant) =>
        (tenant.rank === "on_demand" && tenant.priority <= priority) ||
        (tenant.rank === "resident" && tenant.priority < priority),
    )
    .sort(
      (left, right) =>
        Number(left.rank === "resident") - Number(right.rank === "resident") ||
        left.priority - right.priority ||
        left.lastUsedMs - right.lastUsedMs ||
        (left.modelId < right.modelId ? -1 : 1),
    );
}

export const without = (room: NeuronRoom, leaving: readonly Tenant[]): NeuronRoom => ({
  ...room,
  tenants: room.tenants.filter((tenant) => !leaving.includes(tenant)),
});

export const withTenant = (room: NeuronRoom, tenant: Tenant): NeuronRoom => ({
  ...room,
  tenants: [...room.tenants, tenant],
});
