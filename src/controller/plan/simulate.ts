import { present } from "../../core/present.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import type { ModelSpec, ResidentModel } from "../../protocol/neuron-api.ts";
import { foreignMemory, residentShares, type Shares } from "../observe/device-memory.ts";
import { copyKey, type ObservedFleet, type ReachableNeuron } from "../observe/observed-fleet.ts";
import type { Change } from "../schedule/draft.ts";

/*
 * A model of the fleet that changes are carried out on, on paper. Memory of a neuron depends on the order of that
 * neuron's own changes alone, and apply keeps that order, so walking through the plan's rows one by one shows every
 * state that memory can be in, however the neurons overtake each other.
 */

/** What a change does to memory: first it frees, then it takes. */
export interface MemoryStep {
  readonly id: string;
  readonly neuron: string;
  readonly frees: Shares;
  readonly takes: Shares;
}

export interface DeviceMemory {
  readonly totalMib: number;
  /** In use when nothing has happened yet, models and other processes together. */
  readonly beforeMib: number;
  readonly peakMib: number;
  readonly afterMib: number;
}

/** A step that would take more than the device has. */
export interface Overrun {
  readonly step: string;
  readonly neuron: string;
  readonly device: number;
  readonly usedMib: number;
  readonly totalMib: number;
}

export interface Simulation {
  /** By neuron, then by device index. */
  readonly devices: ReadonlyMap<string, ReadonlyMap<number, DeviceMemory>>;
  readonly overruns: readonly Overrun[];
}

/** Memory in use per device of a neuron: models and other processes, less what is on its way out already. */
export function memoryInUse(neuron: ReachableNeuron): Map<number, number> {
  const used = new Map(foreignMemory(neuron));
  const shares = residentShares(neuron);
  for (const model of neuron.models) {
    if (model.status === "unloading") continue;
    for (const [index, share] of present(shares.get(model.id), "the memory of", model.id))
      used.set(index, (used.get(index) ?? 0) + share);
  }
  return used;
}

export function simulateSteps(observed: ObservedFleet, steps: readonly MemoryStep[]): Simulation {
  const devices = new Map<string, Map<number, DeviceMemory>>();
  for (const neuron of observed.neurons) {
    if (!neuron.reachable) continue;
    const used = memoryInUse(neuron);
    devices.set(
      neuron.name,
      new Map(
        neuron.discovery.devices.map(({ index, vram_total_mb: totalMib }) => {
          const beforeMib = present(used.get(index), "the memory of device", index);
          return [index, { totalMib, beforeMib, peakMib: beforeMib, afterMib: beforeMib }];
        }),
      ),
    );
  }
  const overruns = steps.flatMap((step) => {
    const memory = present(devices.get(step.neuron), "the memory of neuron", step.neuron);
    const touched = new Set([...step.frees.keys(), ...step.takes.keys()]);
    return [...touched].flatMap((index) => carryOut(step, index, memory));
  });
  return { devices, overruns };
}

const NO_DEVICE: DeviceMemory = { totalMib: 0, beforeMib: 0, peakMib: 0, afterMib: 0 };

function carryOut(step: MemoryStep, index: number, memory: Map<number, DeviceMemory>): Overrun[] {
  const device = memory.get(index) ?? NO_DEVICE;
  const { totalMib } = device;
  const takesMib = step.takes.get(index) ?? 0;
  const usedMib = Math.max(0, device.afterMib - (step.frees.get(index) ?? 0)) + takesMib;
  if (device !== NO_DEVICE) {
    memory.set(index, { ...device, afterMib: usedMib, peakMib: Math.max(device.peakMib, usedMib) });
  }
  const isOver = device === NO_DEVICE || (takesMib > 0 && usedMib > totalMib);
  return isOver ? [{ step: step.id, neuron: step.neuron, device: index, usedMib, totalMib }] : [];
}

/** What a change is, as far as the state of the fleet depends on it. */
export type FleetChange = Pick<
  Change,
  "id" | "modelId" | "neuron" | "kind" | "devices" | "deviceMib" | "afterMib" | "sizeSource" | "spec"
>;

/** The memory a row frees and takes, read from the row and from what is loaded there. */
export function memoryStepsOf(observed: ObservedFleet, changes: readonly FleetChange[]): MemoryStep[] {
  const held = new Map<string, Shares>();
  for (const neuron of observed.neurons) {
    if (!neuron.reachable) continue;
    for (const [modelId, shares] of residentShares(neuron)) held.set(copyKey(modelId, neuron.name), shares);
  }
  return changes.map((change) => {
    const key = copyKey(change.modelId, change.neuron);
    const frees = change.kind === "load" ? NOTHING : present(held.get(key), "the copy", key);
    const takes = change.kind === "unload" ? NOTHING : sharesOf(change);
    held.set(key, takes);
    return { id: change.id, neuron: change.neuron, frees, takes };
  });
}

const NOTHING: Shares = new Map();

const sharesOf = ({ devices, deviceMib }: FleetChange): Shares =>
  new Map(
    devices.map((index, position) => [index, present(deviceMib[position], "the memory on device", index)]),
  );

/** The fleet once every change is carried out, if each model takes what the plan says. */
export function fleetAfter(observed: ObservedFleet, changes: readonly FleetChange[]): ObservedFleet {
  const { devices } = simulateSteps(observed, memoryStepsOf(observed, changes));
  const byNeuron = Map.groupBy(changes, ({ neuron }) => neuron);
  const neurons = observed.neurons.map((neuron) => {
    if (!neuron.reachable) return neuron;
    const mine = byNeuron.get(neuron.name) ?? [];
    const staying = neuron.models.filter((model) => model.status !== "unloading");
    const models = mine.reduce<readonly ResidentModel[]>(residentsAfter, withShares(neuron, staying));
    const readings = neuron.health.devices.map((reading) => {
      const memory = devices.get(neuron.name)?.get(reading.index);
      const usedMib = memory?.afterMib ?? reading.vram_used_mb;
      const freeMib = Math.max(0, (memory?.totalMib ?? usedMib) - usedMib);
      return { ...reading, vram_used_mb: usedMib, vram_free_mb: freeMib };
    });
    const generation = neuron.generation + mine.length;
    return { ...neuron, models, generation, health: { ...neuron.health, devices: readings } };
  });
  return { ...observed, neurons };
}

/** Pins the split of what is loaded, so that the neighbours' comings and goings do not change it on paper. */
function withShares(neuron: ReachableNeuron, models: readonly ResidentModel[]): ResidentModel[] {
  const shares = residentShares(neuron);
  return models.map((model) => ({
    ...model,
    device_vram_mb: model.devices.map((index) =>
      present(shares.get(model.id)?.get(index), "the memory on device", index),
    ),
  }));
}

function residentsAfter(models: readonly ResidentModel[], change: FleetChange): readonly ResidentModel[] {
  const others = models.filter((model) => model.id !== change.modelId);
  if (change.kind === "unload" || change.spec === null) return others;
  return [...others, loadedModel(change, change.spec)];
}

const loadedModel = (change: FleetChange, spec: ModelSpec): ResidentModel => ({
  id: change.modelId,
  harness: spec.harness,
  status: "loaded",
  spec_hash: specHash(spec),
  devices: [...change.devices],
  vram_used_mb: change.afterMib,
  vram_measured: change.sizeSource !== "unknown",
  device_vram_mb: [...change.deviceMib],
  capabilities: [],
  limit: null,
  parallel: spec.parallel,
  tool_call: false,
  reasoning: false,
  servable: { ok: true },
  origin: { kind: "revision" },
  last_used_ms: null,
  loaded_at_ms: null,
  load_duration_ms: null,
  pid: null,
});
