import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { reachableNeurons, type ObservedFleet } from "./observed-fleet.ts";

/** Ids of all models that are declared or loaded somewhere. */
export function knownModels({ models: declared }: Fleet, observed: ObservedFleet): string[] {
  const loaded = reachableNeurons(observed).flatMap(({ models }) => models.map(({ id }) => id));
  return [...new Set([...declared.map(({ id }) => id), ...loaded])];
}
