import { parseJson } from "../core/json.ts";
import type { ModelBlock } from "../fleet/schema/fleet-schema.ts";
import { effectiveSource } from "../fleet/schema/model-source.ts";
import { isDeclaredAbility } from "./openai/media-routes.ts";
import { modelSpecSchema, type Device, type ModelSpec } from "./neuron-api.ts";

/** What a neuron is asked to load for a catalogue block; the only mapping, so plan and gateway agree on the hash. */
export function modelSpecFromBlock(block: ModelBlock): ModelSpec {
  return modelSpecSchema.parse({
    model_id: block.id,
    harness: block.harness,
    source: effectiveSource(block),
    sha256: block.sha256,
    context: block.context,
    parallel: block.parallel,
    threads: block.threads,
    kv_cache_type: block.kv_cache_type,
    flash_attention: block.flash_attention,
    swa_full: block.swa_full,
    batch_size: block.batch_size,
    lora: block.lora,
    draft: block.draft,
    prompt_lookup: block.prompt_lookup,
    min_devices: block.min_devices,
    vram_mb: block.vram_mb,
    endpoint: block.endpoint,
    served_as: block.served_as,
    token_file: block.token_file,
    command: block.command,
    health_path: block.health_path,
    start_timeout_secs: block.start_timeout_secs,
    capabilities: declaredAbilities(block),
  });
}

/** Of an engine that is not ours; what ours can do it says itself. */
function declaredAbilities({ harness, capabilities }: ModelBlock): string[] | undefined {
  const abilities = harness === "openai" ? capabilities.filter(isDeclaredAbility).toSorted() : [];
  return abilities.length === 0 ? undefined : abilities;
}

/**
 * What the model of a request is, for a neuron that does not have it loaded: how tokens are counted without it. Sent by
 * whoever knows the catalogue; without it the neuron looks for a file of the model's name.
 */
export const MODEL_SPEC_HEADER = "x-cortex-model-spec";

export const formatModelSpec = (spec: ModelSpec): string => encodeURIComponent(JSON.stringify(spec));

/** Null when there is none that can be understood. */
export function readModelSpec(header: string | string[] | undefined): ModelSpec | null {
  if (typeof header !== "string") return null;
  try {
    return modelSpecSchema.safeParse(parseJson(decodeURIComponent(header))).data ?? null;
  } catch {
    return null;
  }
}

/** Devices over which a model of so many can be spread: parts of cards (MIG) each take one alone. */
export const spreadableDevices = (devices: readonly Device[], minDevices: number): readonly Device[] =>
  minDevices === 1 ? devices : devices.filter(({ part_of: card }) => card === undefined);
