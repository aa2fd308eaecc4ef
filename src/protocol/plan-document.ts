import { z } from "zod";
import { modelSpecSchema, modelStatusSchema } from "./neuron-api.ts";

/**
 * A plan as data: shown by `cortex plan`, saved with `--out`, carried out by `cortex apply`.
 * `format_version` changes only when a reader of the old form would be misled.
 */
export const PLAN_FORMAT_VERSION = 1;

export const planActionSchema = z.enum(["load", "unload"]);
export type PlanAction = z.infer<typeof planActionSchema>;

export const planReasonSchema = z.enum([
  /** A declared copy is missing. */
  "declared_not_loaded",
  /** A copy that another neuron can no longer hold comes here. */
  "moved",
  /** cortex loaded it, and no block declares it. */
  "loaded_not_declared",
  /** More copies are loaded than declared. */
  "replicas_lowered",
  /** Loaded with other settings than declared. */
  "spec_changed",
  /** `pinned_on` no longer names the neuron. */
  "pin_changed",
  /** The devices no longer meet min_devices or min_device_vram_mb. */
  "requirements_changed",
  /** `drain = true`. */
  "neuron_drained",
  /** Gives way to a model of the same or a higher class. */
  "makes_room",
]);
export type PlanReason = z.infer<typeof planReasonSchema>;

/** Where the memory figure of a change comes from; "estimated": from a copy with other settings. */
export const footprintSourceSchema = z.enum(["measured", "declared", "estimated", "unknown"]);
export type FootprintSource = z.infer<typeof footprintSourceSchema>;

/** One row. `actions` are carried out in order: a replace is unload then load. */
export const planChangeSchema = z.object({
  /** Unique in the plan: `load Qwen/Qwen3-8B@beast`. */
  id: z.string(),
  model_id: z.string(),
  neuron: z.string(),
  kind: z.enum(["load", "unload", "replace"]),
  actions: z.array(planActionSchema).min(1),
  action_reason: planReasonSchema,
  /** The reason in words, for people. */
  detail: z.string(),
  /** Changes that must have succeeded before this one starts: a copy leaves only once its successor is ready. */
  depends_on: z.array(z.string()),
  /** `protect = true`: apply refuses to take it down without consent. */
  protected: z.boolean(),
  devices: z.array(z.int()),
  /** What the change takes (an unload: frees) on each of `devices`, in their order. */
  device_vram_mb: z.array(z.int().nonnegative()),
  vram_before_mb: z.int().nonnegative(),
  vram_after_mb: z.int().nonnegative(),
  /** Of the copy that is loaded, or of the one that leaves when nothing is loaded. */
  vram_source: footprintSourceSchema,
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

/** Copies that may be on neurons which do not answer: neither loaded again nor counted as missing. */
export const unknownCopySchema = z.object({
  model_id: z.string(),
  replicas: z.int().positive(),
  neurons: z.array(z.string()),
});
export type UnknownCopy = z.infer<typeof unknownCopySchema>;

/** Loaded models that the plan leaves alone although no block declares them there. */
export const leftAloneSchema = z.object({ model_id: z.string(), neuron: z.string(), reason: z.string() });

export const planNeuronSchema = z.object({
  name: z.string(),
  endpoint: z.string(),
  reachable: z.boolean(),
  /** Why not, when it is not. */
  problem: z.string().nullable(),
  /** The neuron's generation that this plan was made from; apply refuses another. */
  generation: z.int().nullable(),
  /** What was loaded when the plan was made: lets apply name the fact that moved. */
  models: z.array(z.object({ model_id: z.string(), spec_hash: z.string(), status: modelStatusSchema })),
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
export type PlanNeuron = z.infer<typeof planNeuronSchema>;

export const planRevisionSchema = z.object({
  commit: z.string().nullable(),
  dirty: z.boolean(),
  path: z.string(),
});
/** Where desired state was read: a commit when it is in git, and whether the files differed from it. */
export type PlanRevision = z.infer<typeof planRevisionSchema>;

export const planDocumentSchema = z.object({
  format_version: z.literal(PLAN_FORMAT_VERSION),
  fleet: z.string(),
  /** Where the desired state was read: a commit when it is in git, and whether the work tree differed from it. */
  revision: planRevisionSchema,
  /** Digest of the parsed fleet files. */
  fleet_digest: z.string(),
  created_at_ms: z.number(),
  /** True when every declared copy is placed and none of them is on a neuron that does not answer. */
  complete: z.boolean(),
  neurons: z.array(planNeuronSchema),
  /** In an order that can be carried out: neurons side by side, the changes of one neuron one after another. */
  changes: z.array(planChangeSchema),
  /** Copies that are already as declared. */
  unchanged: z.int().nonnegative(),
  unplaced: z.array(unplacedCopySchema),
  unknown: z.array(unknownCopySchema),
  left_alone: z.array(leftAloneSchema),
});
export type PlanDocument = z.infer<typeof planDocumentSchema>;
