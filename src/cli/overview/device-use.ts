import type { FleetModelState, FleetNeuronState } from "../../protocol/gateway-api.ts";

/** Whose a copy is: `resident` and `on_demand` are this fleet's, `manual` a person's, `foreign` another fleet's. */
export type CopyKind = "resident" | "on_demand" | "manual" | "foreign";

/** `declared`: copies that the files keep loaded, by model. */
export function copyKindOf(model: FleetModelState, declared: ReadonlyMap<string, number>): CopyKind {
  if (model.foreign === true) return "foreign";
  if ((declared.get(model.id) ?? 0) > 0) return "resident";
  return model.origin?.kind === "manual" ? "manual" : "on_demand";
}

/** Whose the memory of a device is, in MiB. */
export interface DeviceUse {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly totalMb: number;
  /** Null where the neuron does not say. */
  readonly usedMb: number | null;
  readonly residentMb: number;
  /** Of copies on demand, and of those that a person had loaded. */
  readonly onDemandMb: number;
  /** Of another fleet's copies, and of processes that are none of the neuron's models. */
  readonly foreignMb: number;
  readonly freeMb: number;
  readonly utilizationPct: number | null;
  readonly tempC: number | null;
}

export function deviceUse(
  neuron: FleetNeuronState,
  declared: ReadonlyMap<string, number>,
): readonly DeviceUse[] {
  return neuron.devices.map((device) => {
    const held = { resident: 0, on_demand: 0, manual: 0, foreign: 0 };
    for (const model of neuron.models) held[copyKindOf(model, declared)] += memoryOn(model, device.index);
    const { vram_total_mb: totalMb, vram_used_mb: usedMb } = device;
    const ours = held.resident + held.on_demand + held.manual;
    // A load that has begun holds its memory before the driver counts it.
    const inUseMb = Math.min(totalMb, Math.max(usedMb ?? 0, ours + held.foreign));
    return {
      index: device.index,
      name: device.name,
      kind: device.kind,
      totalMb,
      usedMb,
      residentMb: held.resident,
      onDemandMb: held.on_demand + held.manual,
      foreignMb: Math.max(0, inUseMb - ours),
      freeMb: totalMb - inUseMb,
      utilizationPct: device.utilization_pct,
      tempC: device.temp_c,
    };
  });
}

/** A neuron that does not say how a copy is split is believed to split it evenly. */
function memoryOn(
  { devices, device_vram_mb: split, vram_used_mb: mb }: FleetModelState,
  index: number,
): number {
  const at = devices.indexOf(index);
  if (at < 0) return 0;
  return split?.[at] ?? Math.round(mb / devices.length);
}
