import type { PlanChange } from "../../protocol/plan-document.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import type { ModelSpec, ResidentModel } from "../../protocol/neuron-api.ts";
import { foreignMemory, residentShares, type Shares } from "../observe/device-memory.ts";
import type { ObservedFleet, ReachableNeuron } from "../observe/observed-fleet.ts";

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
  readonly totalMb: number;
  /** In use when nothing has happened yet, models and other processes together. */
  readonly beforeMb: number;
  readonly peakMb: number;
  readonly afterMb: number;
}

/** A step that would take more than the device has. */
export interface Overrun {
  readonly step: string;
  readonly neuron: string;
  readonly device: number;
  readonly usedMb: number;
  readonly totalMb: number;
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
    for (const [index, share] of shares.get(model.id) ?? []) used.set(index, (used.get(index) ?? 0) + share);
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
        neuron.discovery.devices.map(({ index, vram_total_mb: totalMb }) => {
          const beforeMb = used.get(index) ?? 0;
          return [index, { totalMb, beforeMb, peakMb: beforeMb, afterMb: beforeMb }];
        }),
      ),
    );
  }
  const overruns = steps.flatMap((step) => {
    const memory = devices.get(step.neuron) ?? new Map<number, DeviceMemory>();
    const touched = new Set([...step.frees.keys(), ...step.takes.keys()]);
    return [...touched].flatMap((index) => carryOut(step, index, memory));
  });
  return { devices, overruns };
}

const NO_DEVICE: DeviceMemory = { totalMb: 0, beforeMb: 0, peakMb: 0, afterMb: 0 };

function carryOut(step: MemoryStep, index: number, memory: Map<number, DeviceMemory>): Overrun[] {
  const device = memory.get(index) ?? NO_DEVICE;
  const { totalMb } = device;
  const takesMb = step.takes.get(index) ?? 0;
  const usedMb = Math.max(0, device.afterMb - (step.frees.get(index) ?? 0)) + takesMb;
  if (device !== NO_DEVICE) {
    memory.set(index, { ...device, afterMb: usedMb, peakMb: Math.max(device.peakMb, usedMb) });
  }
  const isOver = device === NO_DEVICE || (takesMb > 0 && usedMb > totalMb);
  return isOver ? [{ step: step.id, neuron: step.neuron, device: index, usedMb, totalMb }] : [];
}

/** What a change is, as far as the state of the fleet depends on it. */
export type FleetChange = Pick<
  PlanChange,
  | "id"
  | "model_id"
  | "neuron"
  | "kind"
  | "devices"
  | "device_vram_mb"
  | "vram_after_mb"
  | "vram_source"
  | "spec"
>;

/** The memory a row frees and takes, read from the row and from what is loaded there. */
export function memoryStepsOf(observed: ObservedFleet, changes: readonly FleetChange[]): MemoryStep[] {
  const held = new Map<string, Shares>();
  for (const neuron of observed.neurons) {
    if (!neuron.reachable) continue;
    for (const [modelId, shares] of residentShares(neuron)) held.set(`${modelId}@${neuron.name}`, shares);
  }
  return changes.map((change) => {
    const key = `${change.model_id}@${change.neuron}`;
    const frees = change.kind === "load" ? new Map<number, number>() : (held.get(key) ?? new Map());
    const takes = change.kind === "unload" ? new Map<number, number>() : sharesOf(change);
    held.set(key, takes);
    return { id: change.id, neuron: change.neuron, frees, takes };
  });
}

const sharesOf = (change: FleetChange): Shares =>
  new Map(change.devices.map((index, position) => [index, change.device_vram_mb[position] ?? 0]));

/** The fleet once every change is carried out, if each model takes what the plan says. */
export function fleetAfter(observed: ObservedFleet, changes: readonly FleetChange[]): ObservedFleet {
  const { devices } = simulateSteps(observed, memoryStepsOf(observed, changes));
  const neurons = observed.neurons.map((neuron) => {
    if (!neuron.reachable) return neuron;
    const mine = changes.filter((change) => change.neuron === neuron.name);
    const staying = neuron.models.filter((model) => model.status !== "unloading");
    const models = mine.reduce<readonly ResidentModel[]>(residentsAfter, withShares(neuron, staying));
    const readings = neuron.health.devices.map((reading) => {
      const memory = devices.get(neuron.name)?.get(reading.index);
      const usedMb = memory?.afterMb ?? reading.vram_used_mb;
      const freeMb = Math.max(0, (memory?.totalMb ?? usedMb) - usedMb);
      return { ...reading, vram_used_mb: usedMb, vram_free_mb: freeMb };
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
    device_vram_mb: model.devices.map((index) => shares.get(model.id)?.get(index) ?? 0),
  }));
}

function residentsAfter(models: readonly ResidentModel[], change: FleetChange): readonly ResidentModel[] {
  const others = models.filter((model) => model.id !== change.model_id);
  if (change.kind === "unload" || change.spec === null) return others;
  return [...others, loadedModel(change, change.spec)];
}

const loadedModel = (change: FleetChange, spec: ModelSpec): ResidentModel => ({
  id: change.model_id,
  harness: spec.harness,
  status: "loaded",
  spec_hash: specHash(spec),
  devices: change.devices,
  vram_used_mb: change.vram_after_mb,
  vram_measured: change.vram_source !== "unknown",
  device_vram_mb: change.device_vram_mb,
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
