import { DEFAULT_RESIDENCY_PRIORITY, type Fleet, type ModelBlock } from "../fleet/fleet-schema.ts";
import { modelSpecFromBlock } from "../protocol/model-spec.ts";
import type { FootprintSource } from "../protocol/plan-document.ts";
import type { ModelSpec, ResidentModel } from "../protocol/neuron-api.ts";
import { specHash } from "../protocol/spec-hash.ts";
import type { Need } from "./device-room.ts";
import { reachableNeurons, type ObservedFleet } from "./observed-fleet.ts";

/** A model block together with what follows from it. */
export interface DesiredModel {
  readonly block: ModelBlock;
  readonly spec: ModelSpec;
  readonly specHash: string;
  readonly priority: number;
  readonly footprint: { readonly vramMb: number | undefined; readonly source: FootprintSource };
  readonly need: Need;
}

/** By id. A measured footprint of the same spec anywhere in the fleet wins over the declared one. */
export function desiredModels(fleet: Fleet, observed: ObservedFleet): ReadonlyMap<string, DesiredModel> {
  const residents = reachableNeurons(observed).flatMap((neuron) => neuron.models);
  return new Map(fleet.models.map((block) => [block.id, desiredModel(block, residents)]));
}

function desiredModel(block: ModelBlock, residents: readonly ResidentModel[]): DesiredModel {
  const spec = modelSpecFromBlock(block);
  const hash = specHash(spec);
  const footprint = footprintOf(block, hash, residents);
  return {
    block,
    spec,
    specHash: hash,
    priority: block.residency_priority ?? DEFAULT_RESIDENCY_PRIORITY,
    footprint,
    need: {
      modelId: block.id,
      footprintMb: footprint.vramMb,
      minDevices: block.min_devices,
      minDeviceVramMb: block.min_device_vram_mb ?? 0,
    },
  };
}

/** Measured with these settings, else declared, else as large as a copy with other settings, else unknown. */
function footprintOf(
  block: ModelBlock,
  hash: string,
  residents: readonly ResidentModel[],
): DesiredModel["footprint"] {
  const copies = residents.filter((model) => model.id === block.id && model.status !== "unloading");
  const same = copies.filter((copy) => copy.spec_hash === hash);
  const measuredMb = largest(same.filter((copy) => copy.vram_measured));
  if (measuredMb !== undefined) return { vramMb: measuredMb, source: "measured" };
  if (block.vram_mb !== undefined) return { vramMb: block.vram_mb, source: "declared" };
  const similarMb = largest(copies);
  return similarMb === undefined
    ? { vramMb: undefined, source: "unknown" }
    : { vramMb: similarMb, source: "estimated" };
}

const largest = (copies: readonly ResidentModel[]): number | undefined =>
  copies.length === 0 ? undefined : Math.max(...copies.map((copy) => copy.vram_used_mb));

/** cortex loaded it, so cortex may unload it; what a person loaded by hand is that person's. */
export const loadedByCortex = (model: ResidentModel): boolean => model.origin.kind !== "manual";
