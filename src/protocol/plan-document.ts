import { z } from "zod";
import { modelSpecSchema } from "./neuron-api.ts";

/**
 * A plan as data: shown by `cortex plan`, saved with `--out`, carried out by `cortex apply`.
 * `format_version` changes only when a reader of the old form would be misled.
 */
export const PLAN_FORMAT_VERSION = 1;

export const planActionSchema = z.enum(["load", "unload"]);

export const planReasonSchema = z.enum([
  "declared_not_loaded",
  "loaded_not_declared",
  "replicas_lowered",
  "spec_changed",
  "pin_changed",
  "neuron_drained",
]);

/** One row. `actions` are carried out in order: a replace is unload then load. */
export const planChangeSchema = z.object({
  model_id: z.string(),
  neuron: z.string(),
  kind: z.enum(["load", "unload", "replace"]),
  actions: z.array(planActionSchema).min(1),
  action_reason: planReasonSchema,
  /** The reason in words, for people. */
  detail: z.string(),
  devices: z.array(z.int()),
  vram_before_mb: z.int().nonnegative(),
  vram_after_mb: z.int().nonnegative(),
  /** The spec to load; null for an unload. */
  spec: modelSpecSchema.nullable(),
});
export type PlanChange = z.infer<typeof planChangeSchema>;

export const unplacedCopySchema = z.object({
  model_id: z.string(),
  missing_replicas: z.int().positive(),
  /** One entry per neuron that was considered. */
  refusals: z.array(z.object({ neuron: z.string(), reason: z.string() })),
  hint: z.string(),
});
export type UnplacedCopy = z.infer<typeof unplacedCopySchema>;

export const planNeuronSchema = z.object({
  name: z.string(),
  endpoint: z.string(),
  reachable: z.boolean(),
  /** Why not, when it is not. */
  problem: z.string().nullable(),
  /** The neuron's generation that this plan was made from; apply refuses another. */
  generation: z.int().nullable(),
  devices: z.array(
    z.object({
      index: z.int(),
      name: z.string(),
      kind: z.string(),
      vram_total_mb: z.int(),
      vram_before_mb: z.int(),
      vram_after_mb: z.int(),
    }),
  ),
});

export const planDocumentSchema = z.object({
  format_version: z.literal(PLAN_FORMAT_VERSION),
  fleet: z.string(),
  /** Where the desired state was read: a commit when it is in git, and whether the work tree differed from it. */
  revision: z.object({ commit: z.string().nullable(), dirty: z.boolean(), path: z.string() }),
  /** Digest of the parsed fleet files. */
  fleet_digest: z.string(),
  created_at_ms: z.number(),
  /** True when every declared copy is placed and every concerned neuron answered. */
  complete: z.boolean(),
  neurons: z.array(planNeuronSchema),
  changes: z.array(planChangeSchema),
  /** Copies that are already as declared. */
  unchanged: z.int().nonnegative(),
  unplaced: z.array(unplacedCopySchema),
});
export type PlanDocument = z.infer<typeof planDocumentSchema>;
