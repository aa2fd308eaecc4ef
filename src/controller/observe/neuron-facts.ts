import { by } from "../../core/order.ts";
import { canonicalDigest } from "../../core/canonical-digest.ts";
import type { LoadOrigin, ModelStatus } from "../../protocol/neuron-api.ts";
import type { ReachableNeuron } from "./observed-fleet.ts";

/**
 * What a plan takes for granted about a neuron, and nothing that moves by itself: readings, counters and times of
 * last use are left out, so that a plan does not grow stale while nothing happens.
 */
export interface NeuronFacts {
  readonly generation: number;
  /** `ok` or `draining`. */
  readonly status: string;
  readonly harnesses: readonly string[];
  readonly devices: readonly {
    readonly index: number;
    readonly name: string;
    readonly kind: string;
    readonly vram_total_mb: number;
  }[];
  readonly models: readonly {
    readonly model_id: string;
    readonly spec_hash: string;
    readonly status: ModelStatus;
    /** Whose copy it is; `manual`: a person's. */
    readonly origin: LoadOrigin["kind"];
    /** The fleet that had it loaded; null where nobody says. */
    readonly fleet: string | null;
    readonly devices: readonly number[];
  }[];
}

export function neuronFacts(
  neuron: Pick<ReachableNeuron, "generation" | "discovery" | "health" | "models">,
): NeuronFacts {
  return {
    generation: neuron.generation,
    status: neuron.health.status,
    harnesses: neuron.discovery.harnesses.toSorted(),
    devices: neuron.discovery.devices
      .map(({ index, name, kind, vram_total_mb }) => ({ index, name, kind, vram_total_mb }))
      .toSorted((left, right) => left.index - right.index),
    models: neuron.models
      .map(({ id, spec_hash, status, origin, devices }) => ({
        model_id: id,
        spec_hash,
        status,
        origin: origin.kind,
        fleet: origin.fleet ?? null,
        devices,
      }))
      .toSorted(by(({ model_id }) => model_id)),
  };
}

export const factsDigest = (facts: NeuronFacts): string => canonicalDigest(facts);
