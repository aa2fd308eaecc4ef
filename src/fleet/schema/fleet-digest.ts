import { createHash } from "node:crypto";
import { canonicalJson } from "../../core/json.ts";
import { by } from "../../core/order.ts";
import type { Fleet } from "./fleet-schema.ts";

/**
 * SHA-256 (hex) of what a fleet means: the same for every way of writing it down. Files, comments, the order of
 * blocks and of keys, and values left at their default make no difference.
 */
export function fleetDigest(fleet: Fleet): string {
  const canonical = {
    ...fleet,
    neurons: fleet.neurons.toSorted(by(({ name }) => name)),
    models: fleet.models
      .map((model) => ({
        ...model,
        pinned_on: model.pinned_on.toSorted(),
        capabilities: model.capabilities.toSorted(),
      }))
      .toSorted(by(({ id }) => id)),
    keys: fleet.keys
      .map((key) => ({ ...key, models: key.models.toSorted() }))
      .toSorted(by(({ id }) => id)),
  };
  return createHash("sha256").update(canonicalJson(canonical)).digest("hex");
}
