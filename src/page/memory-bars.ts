import type { FleetNeuronState, FleetState } from "../protocol/gateway-api.ts";
import { declaredModels } from "./declared-models.ts";

/** Who holds a part of a device's memory. `foreign`: what no model of this neuron accounts for. */
export type Holder = "resident" | "on-demand" | "moving" | "foreign" | "free";

export interface MemoryPart {
  readonly holder: Holder;
  /** The model; empty for what is no model's. */
  readonly model: string;
  readonly mib: number;
  /** 0..1 of the device. */
  readonly share: number;
}

export interface DeviceBar {
  readonly index: number;
  readonly name: string;
  readonly totalMib: number;
  /** Null while the neuron does not say. */
  readonly usedMib: number | null;
  readonly utilizationPct: number | null;
  readonly tempC: number | null;
  /** They fill the device from left to right, free memory last; empty while nothing is known. */
  readonly parts: readonly MemoryPart[];
}

type Held = Pick<MemoryPart, "holder" | "model" | "mib">;

/** The memory of a neuron's devices, by who holds it. */
export function memoryBars(neuron: FleetNeuronState, state: FleetState): readonly DeviceBar[] {
  const resident = new Set(declaredModels(state).flatMap(({ id, replicas }) => (replicas > 0 ? [id] : [])));
  return neuron.devices.map((device) => {
    const held = neuron.models.flatMap((model): Held[] => {
      const mib = memoryOn(model, device.index);
      if (mib === 0) return [];
      return [{ holder: holderOf(model, resident), model: model.id, mib }];
    });
    return {
      index: device.index,
      name: device.name,
      totalMib: device.vram_total_mb,
      usedMib: device.vram_used_mb,
      utilizationPct: device.utilization_pct,
      tempC: device.temp_c,
      parts: partsOf(held, device),
    };
  });
}

type ModelState = FleetNeuronState["models"][number];

const ORDER: readonly Holder[] = ["resident", "on-demand", "moving", "foreign", "free"];

function holderOf({ id, status }: ModelState, resident: ReadonlySet<string>): Holder {
  if (status !== "loaded") return "moving";
  return resident.has(id) ? "resident" : "on-demand";
}

/** As the neuron splits it; evenly where it does not say. */
function memoryOn(model: ModelState, device: number): number {
  const at = model.devices.indexOf(device);
  if (at === -1) return 0;
  return model.device_vram_mb?.[at] ?? Math.round(model.vram_used_mb / model.devices.length);
}

function partsOf(
  held: readonly Held[],
  device: Pick<FleetNeuronState["devices"][number], "vram_total_mb" | "vram_used_mb">,
): readonly MemoryPart[] {
  const { vram_total_mb: total, vram_used_mb: used } = device;
  if (total === 0) return [];
  const ours = held.reduce((sum, { mib }) => sum + mib, 0);
  // While a model loads, its reservation is more than what the driver shows: nothing foreign then, and less free.
  const foreign = Math.max(0, (used ?? ours) - ours);
  const free = Math.max(0, total - ours - foreign);
  const whole = Math.max(total, ours + foreign);
  const others: readonly Held[] = [
    { holder: "foreign", model: "", mib: foreign },
    { holder: "free", model: "", mib: free },
  ];
  return [...held, ...others]
    .filter(({ mib }) => mib > 0)
    .toSorted((one, other) => ORDER.indexOf(one.holder) - ORDER.indexOf(other.holder))
    .map((part) => ({ ...part, share: part.mib / whole }));
}
