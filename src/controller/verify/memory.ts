import type { PlanChange, PlanNeuron } from "../../protocol/plan-document.ts";
import { bringsCopyUp, certainBefore, Findings, takesCopyDown } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";

type PerDevice = ReadonlyMap<number, number>;

/** A row's effect on the memory of its neuron: what it frees first, and what it takes then. */
interface Effect {
  readonly change: PlanChange;
  readonly frees: PerDevice;
  readonly takes: PerDevice;
}

/** Memory after every step, as planned and in the worst case of what else may fail on the way. */
export function verifyMemory(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  const certain = certainBefore(plan);
  for (const neuron of plan.neurons) {
    if (!neuron.reachable) continue;
    const effects = effectsOn(found, index.rowsOn(neuron.name), neuron);
    verifySplits(found, effects, neuron);
    for (const device of neuron.devices) {
      verifyFigures(found, effects, { neuron, device });
      for (const [position, effect] of effects.entries()) {
        verifyWorstCase(found, { neuron, device, effects: effects.slice(0, position), effect, certain });
      }
    }
  }
  return found;
}

/** What leaves frees what it was said to hold; what a row loaded earlier frees what that row took. */
function effectsOn(found: Findings, rows: readonly PlanChange[], neuron: PlanNeuron): Effect[] {
  const held = new Map<string, PerDevice>(
    neuron.models.map((model) => [model.model_id, perDevice(model.devices, model.device_vram_mb)]),
  );
  return rows.map((change) => {
    const stated = perDevice(change.devices, change.device_vram_mb);
    const frees: PerDevice = takesCopyDown(change) ? (held.get(change.model_id) ?? new Map()) : new Map();
    const takes: PerDevice = bringsCopyUp(change) ? stated : new Map();
    if (change.kind === "unload") {
      found.expect(sameAmounts(frees, stated), "memory_figures", {
        where: change.id,
        message: "says that it frees another amount than the model holds",
      });
    }
    if (takesCopyDown(change)) {
      const heldMb = sum(frees.values());
      found.expect(change.vram_before_mb === heldMb, "memory_figures", {
        where: change.id,
        message: `says that ${change.vram_before_mb} MB are held before, and it is ${heldMb} MB`,
      });
    }
    held.set(change.model_id, takes);
    return { change, frees, takes };
  });
}

/**
 * A model on several devices takes from each in proportion to what is free there when it is loaded, whatever anybody
 * writes down; a plan that says otherwise promises memory to others that will not be free.
 */
function verifySplits(found: Findings, effects: readonly Effect[], { devices }: PlanNeuron): void {
  const free = new Map(
    devices.map(({ index, vram_total_mb, vram_before_mb }) => [index, vram_total_mb - vram_before_mb]),
  );
  const shift = (amounts: PerDevice, sign: 1 | -1): void => {
    for (const [device, mb] of amounts) free.set(device, (free.get(device) ?? 0) + sign * mb);
  };
  for (const { change, frees, takes } of effects) {
    shift(frees, 1);
    const rooms = [...takes.keys()].map((device) => Math.max(0, free.get(device) ?? 0));
    const needMb = sum(takes.values());
    if (takes.size > 1 && needMb > 0) {
      const split = proportional(needMb, rooms);
      found.expect(split.join() === [...takes.values()].join(), "memory_figures", {
        where: change.id,
        message: `says ${[...takes.values()].join(" + ")} MB, and its neuron will split it ${split.join(" + ")}`,
      });
    }
    shift(takes, -1);
  }
}

/** Whole MB that add up, each at most what is free there; the first devices round up. */
function proportional(needMb: number, rooms: readonly number[]): number[] {
  const allMb = sum(rooms);
  let leftMb = needMb;
  return rooms.map((room) => {
    const share = Math.min(leftMb, Math.ceil((needMb * room) / allMb));
    leftMb -= share;
    return share;
  });
}

const sum = (amounts: Iterable<number>): number => [...amounts].reduce((total, mb) => total + mb, 0);

interface AtDevice {
  readonly neuron: PlanNeuron;
  readonly device: PlanNeuron["devices"][number];
}

function verifyFigures(found: Findings, effects: readonly Effect[], { neuron, device }: AtDevice): void {
  let used = device.vram_before_mb;
  let peak = used;
  for (const { change, frees, takes } of effects) {
    const takesMb = takes.get(device.index) ?? 0;
    used = Math.max(0, used - (frees.get(device.index) ?? 0)) + takesMb;
    peak = Math.max(peak, used);
    found.expect(takesMb === 0 || used <= device.vram_total_mb, "capacity", {
      where: change.id,
      message: `brings device ${device.index} of ${neuron.name} to ${used} MB of ${device.vram_total_mb} MB`,
    });
  }
  const label = `device ${device.index}`;
  found.expect(used === device.vram_after_mb, "memory_figures", {
    where: neuron.name,
    message: `${label} ends at ${used} MB, not ${device.vram_after_mb} MB`,
  });
  found.expect(peak === device.vram_peak_mb, "memory_figures", {
    where: neuron.name,
    message: `${label} peaks at ${peak} MB, not ${device.vram_peak_mb} MB`,
  });
}

/**
 * The row still fits when everything that may fail does: earlier rows that take memory have taken it, earlier rows
 * that free memory have freed none, but for those that this row waits for.
 */
function verifyWorstCase(
  found: Findings,
  at: AtDevice & {
    readonly effects: readonly Effect[];
    readonly effect: Effect;
    readonly certain: ReadonlyMap<string, ReadonlySet<string>>;
  },
): void {
  const { device, effect } = at;
  const takesMb = effect.takes.get(device.index) ?? 0;
  if (takesMb === 0) return;
  const isCertain = (id: string): boolean => at.certain.get(effect.change.id)?.has(id) === true;
  const before = at.effects.reduce((used, earlier) => {
    const takes = earlier.takes.get(device.index) ?? 0;
    const net = takes - (earlier.frees.get(device.index) ?? 0);
    return used + (isCertain(earlier.change.id) ? net : Math.max(0, net));
  }, device.vram_before_mb);
  const used = before - (effect.frees.get(device.index) ?? 0) + takesMb;
  found.expect(used <= device.vram_total_mb, "capacity", {
    where: effect.change.id,
    message:
      `would bring device ${device.index} of ${at.neuron.name} to ${used} MB of ${device.vram_total_mb} MB ` +
      "when another step fails: it does not wait for what makes its room",
  });
}

function perDevice(devices: readonly number[], amounts: readonly number[]): PerDevice {
  return new Map(devices.map((device, position) => [device, amounts[position] ?? 0]));
}

const sameAmounts = (left: PerDevice, right: PerDevice): boolean =>
  [...new Set([...left.keys(), ...right.keys()])].every(
    (device) => (left.get(device) ?? 0) === (right.get(device) ?? 0),
  );
