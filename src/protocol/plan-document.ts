import { z } from "zod";
import { fleetRevisionSchema } from "../fleet/fleet-revision.ts";
import { planScheduleSchema, survivalSchema, unloadGuardSchema } from "./plan-outlook.ts";
import { loadOriginSchema, modelSpecSchema, modelStatusSchema } from "./neuron-api.ts";

/**
 * A plan as data: shown by `cortex plan`, saved with `--out`, checked by `cortex plan verify`, carried out by
 * `cortex apply`. `format_version` changes only when a reader of the old form would be misled.
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
  /** A copy that serves only while its model moves: memory on both sides is full. */
  "parked",
  /** The parked copy has done its work. */
  "parking_ended",
]);

/** Where the memory figure of a change comes from; "metadata": the file's header; "estimated": a copy with other settings. */
export const footprintSourceSchema = z.enum(["measured", "metadata", "declared", "estimated", "unknown"]);

/** How long a change takes, and how well that is known. Seconds are null when nothing allows a guess. */
export const planDurationSchema = z.object({
  secs: z.number().nonnegative().nullable(),
  source: z.enum([
    /** A load of the same model with the same settings. */
    "measured",
    /** The same model with other settings, by size. */
    "scaled",
    /** Megabytes per second of other loads on this neuron. */
    "neuron_rate",
    /** A rate that most disks reach. */
    "default_rate",
    "unknown",
  ]),
  confidence: z.enum(["high", "medium", "low", "none"]),
});
export type PlanDuration = z.infer<typeof planDurationSchema>;

/** A time without a ready copy of the model. */
export const planDowntimeSchema = z.object({
  /** Null when it cannot be predicted, or does not end. */
  secs: z.number().nonnegative().nullable(),
  /** False: no later change of this plan brings a copy back. */
  ends: z.boolean(),
  /** In words: what forbids loading the successor first. */
  reason: z.string(),
});

/** What the copy that a change takes down was doing when the fleet was observed. */
export const liveRequestsSchema = z.object({
  in_flight: z.int().nonnegative(),
  queued: z.int().nonnegative(),
  /** By the gateway's counters; null when it was not asked or did not answer. */
  per_minute: z.number().nonnegative().nullable(),
});

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
  /** Steps of one wave have nothing to wait for among each other; 1 is the first. */
  wave: z.int().positive(),
  /** `protect = true`: apply refuses to take it down without consent. */
  protected: z.boolean(),
  devices: z.array(z.int()),
  /** What the change takes (an unload: frees) on each of `devices`, in their order. */
  device_vram_mb: z.array(z.int().nonnegative()),
  vram_before_mb: z.int().nonnegative(),
  vram_after_mb: z.int().nonnegative(),
  /** Of the copy that is loaded, or of the one that leaves when nothing is loaded. */
  vram_source: footprintSourceSchema,
  duration: planDurationSchema,
  /** Null when the model keeps serving all the while. */
  downtime: planDowntimeSchema.nullable(),
  /** Bytes fetched from elsewhere before the load; null when that is not known. */
  download_bytes: z.int().nonnegative().nullable(),
  /** Of the copy that is taken down; null when none is, or when its neuron does not say. */
  requests: liveRequestsSchema.nullable(),
  /** With `--base`: whether this branch causes the change or the base would make it too. */
  caused_by: z.enum(["branch", "pending"]).nullable(),
  /** The spec to load; null for an unload. */
  spec: modelSpecSchema.nullable(),
});
export type PlanChange = z.infer<typeof planChangeSchema>;

/** A copy without a place, in short. */
export const unplacedCopySchema = z.object({
  model_id: z.string(),
  missing_replicas: z.int().positive(),
  /** One entry per neuron that was considered. */
  refusals: z.array(z.object({ neuron: z.string(), reason: z.string() })),
  /** What would help most. */
  hint: z.string(),
});

/** One question that was put to a neuron; every one is asked, whatever the earlier ones answered. */
export const placementCheckSchema = z.object({
  /** pinned_on, drain, reachable, accepts_work, harness, min_devices, min_device_vram_mb, capacity, one_copy, memory. */
  check: z.string(),
  ok: z.boolean(),
  /** How far inside (negative: outside) the limit: MiB, or devices for min_devices; null when it is no number. */
  slack: z.number().nullable(),
  /** In words and numbers. */
  detail: z.string(),
});
export type PlacementCheck = z.infer<typeof placementCheckSchema>;

export const neuronVerdictSchema = z.object({
  neuron: z.string(),
  checks: z.array(placementCheckSchema),
  /** What is lacking, when memory is the only thing lacking. */
  short_mb: z.int().nonnegative().nullable(),
});

/** A line of the fleet files. */
export const fleetLineSchema = z.object({ table: z.string(), id: z.string(), key: z.string() });

/** The same in full: every question to every neuron, who is in the way, and what was found to help. */
export const explainedUnplacedSchema = unplacedCopySchema.extend({
  /**
   * `never`: not even on an empty fleet. `not_now`: what is in the way is not declared. `joint`: declared copies are
   * in each other's way. Null when it was not looked into.
   */
  layer: z.enum(["never", "not_now", "joint"]).nullable(),
  /** The case in one sentence. */
  summary: z.string(),
  /** All neurons, or the nearest misses of a large fleet. */
  verdicts: z.array(neuronVerdictSchema),
  /** Memory that a copy needs; null when nothing tells. */
  need_mb: z.int().nonnegative().nullable(),
  /** The least that would have to leave the place where least would have to. */
  blockers: z.array(
    z.object({ neuron: z.string(), model_id: z.string(), vram_mb: z.int(), because: z.string() }),
  ),
  conflict: z
    .object({
      models: z.array(z.object({ model_id: z.string(), copies: z.int(), vram_mb: z.int() })),
      lines: z.array(fleetLineSchema),
      need_mb: z.int(),
      have_mb: z.int(),
      neurons: z.array(z.string()),
    })
    .nullable(),
  /** Changes that let a copy in, cheapest first; what was tried and does not help is not listed. */
  remedies: z.array(
    z.object({
      text: z.string(),
      kind: z.string(),
      line: fleetLineSchema.nullable(),
      from: z.string().nullable(),
      to: z.string(),
      /** Where the copy would go; null when the remedy is to want less. */
      neuron: z.string().nullable(),
      /** The whole fleet was planned with this change, and a copy more had a place. */
      tried: z.boolean(),
      /** Models that would lose a copy by it; empty when it was not tried. */
      costs: z.array(z.string()),
    }),
  ),
});
export type ExplainedUnplaced = z.infer<typeof explainedUnplacedSchema>;

/** Copies that may be on neurons which do not answer: neither loaded again nor counted as missing. */
export const unknownCopySchema = z.object({
  model_id: z.string(),
  replicas: z.int().positive(),
  neurons: z.array(z.string()),
});

/** A wanted change that this plan leaves out, because carrying it out now would do more harm than waiting. */
export const deferredChangeSchema = z.object({ id: z.string(), model_id: z.string(), reason: z.string() });

/** Loaded models that the plan leaves alone although no block declares them there. */
export const leftAloneSchema = z.object({ model_id: z.string(), neuron: z.string(), reason: z.string() });

export const planDeviceSchema = z.object({
  index: z.int(),
  name: z.string(),
  kind: z.string(),
  vram_total_mb: z.int(),
  vram_before_mb: z.int(),
  /** The most that is in use after any step on the way. */
  vram_peak_mb: z.int(),
  vram_after_mb: z.int(),
});

export const planNeuronSchema = z.object({
  name: z.string(),
  endpoint: z.string(),
  reachable: z.boolean(),
  /** Why not, when it is not. */
  problem: z.string().nullable(),
  /** `drain = true` in the fleet files. */
  drain: z.boolean(),
  /** The neuron's generation that this plan was made from; apply refuses another. */
  generation: z.int().nullable(),
  /** SHA-256 of all that the plan takes for granted about this neuron; null when it did not answer. */
  observation_digest: z.string().nullable(),
  /** `draining` when the neuron takes no new work; null when it did not answer. */
  status: z.string().nullable(),
  harnesses: z.array(z.string()),
  /** What was loaded when the plan was made: lets apply name the fact that moved. */
  models: z.array(
    z.object({
      model_id: z.string(),
      spec_hash: z.string(),
      status: modelStatusSchema,
      /** `manual`: a person loaded it, and only a person unloads it. */
      origin: loadOriginSchema.shape.kind,
      devices: z.array(z.int()),
      /** As the neuron says, else as the plan splits it, on each of `devices`. */
      device_vram_mb: z.array(z.int().nonnegative()),
    }),
  ),
  /** Null when the neuron does not say. */
  disk_free_bytes: z.int().nonnegative().nullable(),
  devices: z.array(planDeviceSchema),
});
export type PlanNeuron = z.infer<typeof planNeuronSchema>;

/** What a model block demands, as far as it can be checked without the files. */
export const declaredModelSchema = z.object({
  model_id: z.string(),
  replicas: z.int().nonnegative(),
  pinned_on: z.array(z.string()),
  min_devices: z.int().positive(),
  min_device_vram_mb: z.int().nonnegative(),
  residency_priority: z.int().nonnegative(),
  protect: z.boolean(),
  spec_hash: z.string(),
});
export type DeclaredModel = z.infer<typeof declaredModelSchema>;

/** How far the number of placed copies can be from the most that any placement could place. */
export const placementGapSchema = z.object({
  status: z.enum(["optimal", "within", "unknown"]),
  /** 0 when optimal, null when unknown. */
  gap_percent: z.number().nonnegative().nullable(),
  /** What `placed` and `bound` count: loaded copies that keep a place, models with a copy, or copies. */
  counts: z.enum(["loaded", "models", "copies"]),
  placed: z.int().nonnegative(),
  bound: z.number().nonnegative().nullable(),
  /** What proved it: `heuristic` (every copy has a place), `heuristic + pattern bound`, `exact search`, or `highs`. */
  engine: z.string(),
});

export const assignmentSchema = z.object({
  model_id: z.string(),
  neuron: z.string(),
  devices: z.array(z.int()),
  device_vram_mb: z.array(z.int().nonnegative()),
  /**
   * `kept`: loaded here and stays. `outdated`: likewise, with old settings, because the new ones fit nowhere.
   * `renewed`: loaded here, comes back with new settings. `moved`: was loaded elsewhere. `new`: was not loaded.
   */
  status: z.enum(["kept", "outdated", "renewed", "moved", "new"]),
  moved_from: z.string().nullable(),
  /** Stable name of the rule that told its place from the next best one. */
  rule: z.string(),
  /** The rule in words and numbers. */
  reason: z.string(),
});
export type PlanAssignment = z.infer<typeof assignmentSchema>;

/** With `--base`: the same fleet planned for the base revision. */
export const comparisonSchema = z.object({
  revision: fleetRevisionSchema,
  fleet_digest: z.string(),
  /** Changes that the base would make and this branch does not. */
  avoided: z.array(z.object({ id: z.string(), detail: z.string() })),
  /** Models that cannot be placed here and could be, or were not declared, in the base. */
  newly_unplaced: z.array(z.string()),
});

export const planDocumentSchema = z.object({
  format_version: z.literal(PLAN_FORMAT_VERSION),
  /** Of the cortex that made it. */
  cortex_version: z.string(),
  /** SHA-256 of everything else in this document. */
  digest: z.string(),
  fleet: z.string(),
  /** Where the desired state was read: a commit when it is in git, and whether the work tree differed from it. */
  revision: fleetRevisionSchema,
  /** Digest of the parsed fleet files. */
  fleet_digest: z.string(),
  observation: z.object({
    /** Equal to that of the snapshot that the observation was read from, or can be saved as. */
    digest: z.string(),
    source: z.enum(["neurons", "snapshot"]),
    taken_at_ms: z.number(),
  }),
  /** Made without error, and it would change something. */
  applyable: z.boolean(),
  /** Everything declared is settled by this plan: nothing unplaced, unknown, deferred or outside of `targets`. */
  complete: z.boolean(),
  /** May be looked at and never applied; `problems` says why. */
  errored: z.boolean(),
  problems: z.array(z.string()),
  /** With `--target`: the models that this plan is confined to; empty means all. */
  targets: z.array(z.string()),
  /** Changes, and copies without a place, left out because of `targets`. */
  outside_targets: z.int().nonnegative(),
  comparison: comparisonSchema.nullable(),
  declared: z.array(declaredModelSchema),
  neurons: z.array(planNeuronSchema),
  /** In an order that can be carried out: neurons side by side, the changes of one neuron one after another. */
  changes: z.array(planChangeSchema),
  /** Copies that are already as declared. */
  unchanged: z.int().nonnegative(),
  unload_guard: unloadGuardSchema,
  unplaced: z.array(explainedUnplacedSchema),
  unknown: z.array(unknownCopySchema),
  deferred: z.array(deferredChangeSchema),
  left_alone: z.array(leftAloneSchema),
  placement: placementGapSchema,
  /** Every declared copy that has a place after this plan, and why it is there. */
  assignments: z.array(assignmentSchema),
  schedule: planScheduleSchema,
  survival: survivalSchema,
  /** Where `per_minute` of the changes comes from: an average over `window_secs`; null without a gateway. */
  traffic: z.object({ window_secs: z.number().nonnegative() }).nullable(),
});
export type PlanDocument = z.infer<typeof planDocumentSchema>;
