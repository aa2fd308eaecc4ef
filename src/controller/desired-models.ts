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
  const measured = residents
    .filter((model) => model.spec_hash === hash && model.vram_measured && model.status === "loaded")
    .map((model) => model.vram_used_mb);
  const measuredMb = measured.length > 0 ? Math.max(...measured) : undefined;
  const vramMb = measuredMb ?? block.vram_mb;
  const source = measuredMb !== undefined ? "measured" : vramMb === undefined ? "unknown" : "declared";
  return {
    block,
    spec,
    specHash: hash,
    priority: block.residency_priority ?? DEFAULT_RESIDENCY_PRIORITY,
    footprint: { vramMb, source },
    need: {
      modelId: block.id,
      footprintMb: vramMb,
      minDevices: block.min_devices,
      minDeviceVramMb: block.min_device_vram_mb ?? 0,
    },
  };
}

/** cortex loaded it, so cortex may unload it; what a person loaded by hand is that person's. */
export const loadedByCortex = (model: ResidentModel): boolean => model.origin.kind !== "manual";
