import type { PlanChange, PlanNeuron } from "../../protocol/plan-document.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { splitByWeight, type Shares } from "../observe/device-memory.ts";
import type { NeuronFacts } from "../observe/neuron-facts.ts";

/** A neuron as it is now, with the memory of each of its models per device. */
export interface NeuronNow extends NeuronFacts {
  readonly shares: ReadonlyMap<string, Shares>;
}

/**
 * Rows for which models that the plan does not change, and that hold more than when it was made, leave no memory: in words.
 * What other processes take is the neuron's to find out.
 */
export function crowdedRows(planned: PlanNeuron, now: NeuronNow, own: readonly PlanChange[]): string[] {
  const grown = grownModels(planned, now, own);
  if (grown.length === 0) return [];
  const free = freeMemory(planned, now);
  const held = new Map(now.shares);
  for (const change of own) {
    const present = now.models.find(({ model_id }) => model_id === change.model_id);
    if (present !== undefined && change.spec !== null && present.spec_hash === specHash(change.spec))
      continue;
    if (change.actions.includes("unload")) {
      add(free, held.get(change.model_id) ?? new Map(), 1);
      held.delete(change.model_id);
    }
    if (!change.actions.includes("load")) continue;
    const rooms = change.devices.map((device) => Math.max(0, free.get(device) ?? 0));
    const roomMb = rooms.reduce((sum, mb) => sum + mb, 0);
    const guests = grown.filter(({ devices }) => devices.some((device) => change.devices.includes(device)));
    if (roomMb < change.vram_after_mb && guests.length > 0) {
      const who = guests.map(({ model_id }) => model_id).join(" and ");
      const verbs = guests.length === 1 ? "is loaded and leaves" : "are loaded and leave";
      return [`${who} ${verbs} ${roomMb} MB for "${change.id}", which takes ${change.vram_after_mb} MB`];
    }
    add(free, splitByWeight(change.vram_after_mb, change.devices, rooms), -1);
  }
  return [];
}

/** Models of others, on the devices where they hold more than the plan saw. */
function grownModels(
  planned: PlanNeuron,
  now: NeuronNow,
  own: readonly PlanChange[],
): { readonly model_id: string; readonly devices: readonly number[] }[] {
  const about = new Set(own.map((change) => change.model_id));
  return now.models
    .filter(({ model_id, status }) => !about.has(model_id) && status !== "unloading")
    .map(({ model_id }) => {
      const before = planned.models.find((model) => model.model_id === model_id);
      const heldBefore = (device: number): number =>
        before?.device_vram_mb[before.devices.indexOf(device)] ?? 0;
      const shares = [...(now.shares.get(model_id) ?? [])];
      const devices = shares.filter(([device, mb]) => mb > heldBefore(device)).map(([device]) => device);
      return { model_id, devices };
    })
    .filter(({ devices }) => devices.length > 0);
}

/** Free now, if other processes hold what they held when the plan was made. */
function freeMemory(planned: PlanNeuron, now: NeuronNow): Map<number, number> {
  const free = new Map(
    planned.devices.map(({ index, vram_total_mb, vram_before_mb }) => [
      index,
      vram_total_mb - vram_before_mb,
    ]),
  );
  for (const { status, devices, device_vram_mb: mb } of planned.models) {
    if (status === "unloading") continue;
    add(free, new Map(devices.map((device, position) => [device, mb[position] ?? 0])), 1);
  }
  for (const { model_id, status } of now.models)
    if (status !== "unloading") add(free, now.shares.get(model_id) ?? new Map(), -1);
  return free;
}

function add(amounts: Map<number, number>, shares: Shares, sign: 1 | -1): void {
  for (const [device, mb] of shares) amounts.set(device, (amounts.get(device) ?? 0) + sign * mb);
}
