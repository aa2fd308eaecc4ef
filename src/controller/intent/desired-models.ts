import { DEFAULT_RESIDENCY_PRIORITY, type Fleet, type ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import { onceFor } from "../../core/once-for.ts";
import { modelSpecFromBlock } from "../../protocol/model-spec.ts";
import type { ModelSpec, ResidentModel } from "../../protocol/neuron-api.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import type { DeviceFloor } from "../observe/device-memory.ts";
import { knownSizes, modelNeed, type KnownSizes, type ModelNeed } from "./model-needs.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";

/** A model block together with what follows from it. */
export interface DesiredModel {
  readonly block: ModelBlock;
  readonly spec: ModelSpec;
  readonly specHash: string;
  readonly priority: number;
  readonly need: ModelNeed;
  readonly floor: DeviceFloor;
}

/** By id. */
export function desiredModels(fleet: Fleet, observed: ObservedFleet): ReadonlyMap<string, DesiredModel> {
  const known = knownSizes(reachableNeurons(observed));
  return new Map(fleet.models.map((block) => [block.id, desiredModel(block, known)]));
}

/** Every round and trial of a plan asks for the same blocks. */
const specified = onceFor((block: ModelBlock): Pick<DesiredModel, "spec" | "specHash"> => {
  const spec = modelSpecFromBlock(block);
  return { spec, specHash: specHash(spec) };
});

function desiredModel(block: ModelBlock, sizes: KnownSizes): DesiredModel {
  const { spec, specHash: hash } = specified(block);
  return {
    block,
    spec,
    specHash: hash,
    priority: block.residency_priority ?? DEFAULT_RESIDENCY_PRIORITY,
    need: modelNeed(block, hash, sizes),
    floor: { minDevices: block.min_devices, minDeviceMib: block.min_device_vram_mb ?? 0 },
  };
}

/** cortex loaded it, so cortex may unload it; what a person loaded by hand is that person's. */
export const loadedByCortex = (model: ResidentModel): boolean => model.origin.kind !== "manual";
