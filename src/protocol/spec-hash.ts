import { createHash } from "node:crypto";
import type { ModelSpec } from "./neuron-api.ts";

const engineSettings = ({ threads, kv_cache_type, flash_attention, swa_full }: ModelSpec) => ({
  threads,
  kv_cache_type,
  flash_attention,
  swa_full,
});

/** What is put on a model or beside it. */
const companions = ({ batch_size, lora, draft, prompt_lookup }: ModelSpec) => ({
  batch_size,
  lora,
  draft,
  prompt_lookup,
});

const declaredOf = (settings: Readonly<Record<string, unknown>>): readonly unknown[] =>
  Object.values(settings).every((value) => value === undefined) ? [] : [settings];

/** How long its start may take makes no other engine of it. */
const externalIdentity = (spec: ModelSpec) => {
  const { endpoint, command, served_as, token_file, health_path, capabilities } = spec;
  return { endpoint, command, served_as, token_file, health_path, capabilities };
};

/**
 * Identity of a model in its settings: what must be equal for a loaded copy to count as the declared one.
 * Placement (`devices`) and the estimate (`vram_mb`) are left out: moving or re-measuring a model does not
 * make it another model.
 */
export function specHash(spec: ModelSpec): string {
  const identity = [
    spec.model_id,
    spec.harness,
    spec.source ?? null,
    spec.sha256 ?? null,
    spec.context ?? null,
    spec.parallel,
    spec.min_devices,
    // Only where they are declared: the hash of every other spec stays what it was.
    ...declaredOf(engineSettings(spec)),
    ...declaredOf(companions(spec)),
    // Only where there is an external engine: the hash of every other spec stays what it was.
    ...(spec.harness === "openai" ? [externalIdentity(spec)] : []),
  ];
  return createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 16);
}
