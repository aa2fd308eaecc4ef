import { z } from "zod";
import { fleetRevisionSchema } from "../fleet/fleet-revision.ts";
import { modelProbeTableSchema } from "../fleet/schema/probe-table.ts";
import { declarationSchema } from "./declaration/plan-declaration.ts";
import { explainedUnplacedSchema } from "./plan-unplaced.ts";
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
  secs: z
    .number()
    .nonnegative()
    .nullable()
    .describe("without what is fetched before (`download_bytes`); null when nothing allows a guess"),
  source: z
    .enum([
      /** The same step before: its neuron measured it, or an apply did. */
      "measured",
      /** The same model with other settings, by size. */
      "scaled",
      /** Megabytes per second of other loads on this neuron. */
      "neuron_rate",
      /** A rate that most disks reach. */
      "default_rate",
      "unknown",
    ])
    .describe(
      "the same step before, as its neuron or the history of the fleet knows it; the same model by size; other loads of the neuron; a usual disk; nothing",
    ),
  confidence: z.enum(["high", "medium", "low", "none"]).describe("how well that is known"),
});
export type PlanDuration = z.infer<typeof planDurationSchema>;

/** A time without a ready copy of the model. */
export const planDowntimeSchema = z.object({
  secs: z
    .number()
    .nonnegative()
    .nullable()
    .describe("without what is fetched meanwhile; null when it cannot be predicted or does not end"),
  ends: z.boolean().describe("false: no later change brings a copy back"),
  reason: z.string().describe("what forbids loading the successor first"),
});

/** What the copy that a change takes down was doing when the fleet was observed. */
export const liveRequestsSchema = z.object({
  in_flight: z.int().nonnegative().describe("being answered"),
  queued: z.int().nonnegative().describe("waiting at the neuron"),
  per_minute: z
    .number()
    .nonnegative()
    .nullable()
    .describe("by the gateway's counters; null without a gateway"),
});

/** One row. `actions` are carried out in order: a replace is unload then load. */
export const planChangeSchema = z.object({
  id: z
    .string()
    .describe(
      "unique: `load Qwen/Qwen3-8B@beast`; a second time: `load Qwen/Qwen3-8B@beast again`, then `... a third time`",
    ),
  model_id: z.string().describe("which model"),
  neuron: z.string().describe("where"),
  kind: z.enum(["load", "unload", "replace"]).describe("`replace`: other settings on the same devices"),
  actions: z.array(planActionSchema).min(1).describe("carried out in order"),
  action_reason: planReasonSchema.describe("why, as a stable name"),
  detail: z.string().describe("why, in words"),
  depends_on: z.array(z.string()).describe("ids of changes that must have succeeded before this one starts"),
  wave: z.int().positive().describe("changes of one wave wait for nothing among each other; 1 is the first"),
  protected: z.boolean().describe("apply does not take it down without `--allow-protected`"),
  devices: z.array(z.int()).describe("indices"),
  device_vram_mb: z
    .array(z.int().nonnegative())
    .describe("what the change takes (an unload: frees) on each of them"),
  vram_before_mb: z.int().nonnegative().describe("held before"),
  vram_after_mb: z.int().nonnegative().describe("held after"),
  vram_source: footprintSourceSchema.describe(
    "where the figure comes from; `estimated`: the file's header, or a copy with other settings",
  ),
  duration: planDurationSchema.describe("how long it takes"),
  downtime: planDowntimeSchema
    .nullable()
    .describe("a time without a ready copy of the model; null when it keeps serving"),
  download_bytes: z
    .int()
    .nonnegative()
    .nullable()
    .describe("fetched before the load; null when that is not known"),
  requests: liveRequestsSchema
    .nullable()
    .describe("what the copy that is taken down was doing; null when none is, or its neuron does not say"),
  caused_by: z
    .enum(["branch", "pending"])
    .nullable()
    .describe("with `--base`: by this branch, or the base would make it too"),
  spec: modelSpecSchema.nullable().describe("what the neuron is asked to load; null for an unload"),
});
export type PlanChange = z.infer<typeof planChangeSchema>;

/** Copies that may be on neurons which do not answer: neither loaded again nor counted as missing. */
export const unknownCopySchema = z.object({
  model_id: z.string().describe("which model"),
  replicas: z.int().positive().describe("how many"),
  neurons: z.array(z.string()).describe("where they may be"),
});

/** A wanted change that this plan leaves out, because carrying it out now would do more harm than waiting. */
export const deferredChangeSchema = z.object({
  id: z.string().describe("of the change"),
  model_id: z.string().describe("which model"),
  reason: z.string().describe("in words"),
});

/** Loaded models that the plan leaves alone although no block declares them there. */
export const leftAloneSchema = z.object({
  model_id: z.string().describe("which model"),
  neuron: z.string().describe("where"),
  because: z
    .enum(["loaded_by_hand", "other_fleet"])
    .describe("whose it is, as a stable name: a person loaded it, or another fleet had it loaded"),
  fleet: z.string().nullable().describe("the other fleet"),
  reason: z.string().describe("in words"),
});

export const planDeviceSchema = z.object({
  index: z.int().describe("as `devices` of other fields count"),
  name: z.string().describe("as the driver calls it"),
  kind: z.string().describe("`cuda`, `metal`, `vulkan`, `cpu`, `simulated`"),
  vram_total_mb: z.int().describe("capacity"),
  vram_before_mb: z.int().describe("in use before anything happens, other processes included"),
  vram_peak_mb: z.int().describe("most in use after any change on the way"),
  vram_after_mb: z.int().describe("in use in the end"),
});

export const planNeuronSchema = z.object({
  name: z.string().describe("of the block"),
  endpoint: z.string().describe("where apply finds it"),
  reachable: z.boolean().describe("it answered"),
  problem: z.string().nullable().describe("why not"),
  drain: z.boolean().describe("`drain = true`"),
  generation: z.int().nullable().describe("counts its changes of residency"),
  observation_digest: z
    .string()
    .nullable()
    .describe("of all that the plan takes for granted about it; null when it did not answer"),
  status: z.string().nullable().describe("`ok`, or `draining` when it takes no new work"),
  harnesses: z.array(z.string()).describe("engines it offers"),
  models: z
    .array(
      z.object({
        model_id: z.string().describe("id"),
        spec_hash: z.string().describe("of the settings it was loaded with"),
        status: modelStatusSchema.describe("at the time"),
        origin: loadOriginSchema.shape.kind.describe(
          "by a revision, a request, or a person (`manual`: cortex leaves it to that person)",
        ),
        fleet: z
          .string()
          .nullable()
          .describe("that had it loaded; null where nobody says: by hand, or by an older cortex"),
        devices: z.array(z.int()).describe("indices"),
        device_vram_mb: z
          .array(z.int().nonnegative())
          .describe("what it holds on each of them, in their order"),
      }),
    )
    .describe("what was loaded"),
  disk_free_bytes: z.int().nonnegative().nullable().describe("null when it does not say"),
  devices: z.array(planDeviceSchema).describe("all of its devices"),
});
export type PlanNeuron = z.infer<typeof planNeuronSchema>;

/** What a model block demands, as far as it can be checked without the files. */
export const declaredModelSchema = z.object({
  model_id: z.string().describe("`id`"),
  replicas: z.int().nonnegative().describe("resident copies; 0: on demand"),
  pinned_on: z.array(z.string()).describe("neurons that may hold it; empty: all"),
  min_devices: z.int().positive().describe("devices that one copy is spread over"),
  min_device_vram_mb: z.int().nonnegative().describe("least total memory of each of them"),
  residency_priority: z.int().nonnegative().describe("class"),
  protect: z.boolean().describe("`protect`"),
  probe: modelProbeTableSchema
    .optional()
    .describe("`probe`: what apply asks of a fresh copy; absent without one"),
  spec_hash: z
    .string()
    .describe("of the settings: what must be equal for a loaded copy to be the declared one"),
});
export type DeclaredModel = z.infer<typeof declaredModelSchema>;

/** How far the number of placed copies can be from the most that any placement could place. */
export const placementGapSchema = z.object({
  status: z
    .enum(["optimal", "within", "unknown"])
    .describe("proved to be as good as any; within a stated distance; not known"),
  gap_percent: z.number().nonnegative().nullable().describe("0 when optimal, null when unknown"),
  counts: z
    .enum(["loaded", "models", "copies"])
    .describe(
      "what the next two count: loaded copies that keep a place, models with a copy, or copies; of some class and higher",
    ),
  placed: z.int().nonnegative().describe("by this placement"),
  bound: z.number().nonnegative().nullable().describe("by any placement, at most"),
  engine: z
    .string()
    .describe(
      "what proved it: `heuristic` (every copy has a place), `heuristic + pattern bound`, `exact search`, `highs`",
    ),
});

export const assignmentSchema = z.object({
  model_id: z.string().describe("which model"),
  neuron: z.string().describe("where"),
  devices: z.array(z.int()).describe("indices"),
  device_vram_mb: z.array(z.int().nonnegative()).describe("on each of them"),
  status: z
    .enum(["kept", "outdated", "renewed", "moved", "new"])
    .describe("stays; stays with old settings; comes back with new ones; was elsewhere; was not loaded"),
  moved_from: z.string().nullable().describe("when it moves"),
  rule: z
    .string()
    .describe(
      "what told the place from the next best one: `stays`, `only_place`, `spares_on_demand_room`, `most_free`, `tightest_fit`, `weight`, `fewest_models`, `tie_break`, `joint_fit`",
    ),
  reason: z.string().describe("the same in words and numbers"),
});
export type PlanAssignment = z.infer<typeof assignmentSchema>;

/** With `--base`: the same fleet planned for the base revision. */
export const comparisonSchema = z.object({
  revision: fleetRevisionSchema.describe("where this branch left the base"),
  fleet_digest: z.string().describe("of the base's files"),
  avoided: z
    .array(z.object({ id: z.string().describe("of the change"), detail: z.string().describe("its reason") }))
    .describe("changes that the base would make and this branch does not"),
  newly_unplaced: z.array(z.string()).describe("models that have fewer copies placed than at the base"),
});

export const planDocumentSchema = z.object({
  format_version: z.literal(PLAN_FORMAT_VERSION).describe("of this form"),
  cortex_version: z.string().describe("of the cortex that made it"),
  digest: z.string().describe("SHA-256 of everything else in the document, as JSON with sorted keys"),
  fleet: z.string().describe("`name` of `[fleet]`"),
  takes_over: z
    .array(z.string())
    .describe("`takes_over` of `[fleet]`: other fleets whose copies count as this one's"),
  revision: fleetRevisionSchema.describe("where the desired state was read"),
  fleet_digest: z.string().describe("SHA-256 of what the parsed files mean, however they are written down"),
  observation: z
    .object({
      digest: z.string().describe("of the snapshot that it was read from, or could be saved as"),
      source: z
        .enum(["neurons", "snapshot"])
        .describe("whether the neurons were asked or a snapshot was read"),
      taken_at_ms: z.number().describe("milliseconds since 1970"),
    })
    .describe("what was seen of the fleet"),
  applyable: z.boolean().describe("made without error, and it would change something"),
  complete: z
    .boolean()
    .describe(
      "nothing is unplaced, unknown, deferred or outside of `targets`, and not every neuron is silent",
    ),
  errored: z.boolean().describe("may be looked at and never applied; `problems` says why"),
  problems: z.array(z.string()).describe("in words"),
  targets: z
    .array(z.string())
    .describe("with `--target`: the models that the plan is confined to; empty means all"),
  excepted: z
    .array(z.string())
    .optional()
    .describe("with `--except`: the models that are left out; `targets` has all others. Absent otherwise"),
  outside_targets: z.int().nonnegative().describe("changes left out because of `targets`"),
  comparison: comparisonSchema.nullable().describe("with `--base`: the same fleet planned for that revision"),
  declaration: declarationSchema.describe(
    "settings that differ from the base's, or from what the running gateway serves",
  ),
  declared: z
    .array(declaredModelSchema)
    .describe("every model block, as far as it can be checked without the files"),
  neurons: z.array(planNeuronSchema).describe("every declared neuron, as the plan saw it"),
  changes: z.array(planChangeSchema).describe("what apply does, in an order that can be carried out"),
  unchanged: z.int().nonnegative().describe("copies that are as declared already"),
  unload_guard: unloadGuardSchema.describe("how much of what is loaded goes without coming back elsewhere"),
  unplaced: z.array(explainedUnplacedSchema).describe("declared copies without a place"),
  unknown: z
    .array(unknownCopySchema)
    .describe(
      "copies that were not seen and may be on neurons that do not answer: not counted as missing, and loaded again only where nothing has to give way",
    ),
  deferred: z.array(deferredChangeSchema).describe("wanted changes that are left to a later plan"),
  left_alone: z
    .array(leftAloneSchema)
    .describe("loaded models that are not this fleet's to take down, and no declared copies"),
  placement: placementGapSchema.describe("how far the placement can be from the best one"),
  assignments: z
    .array(assignmentSchema)
    .describe("every declared copy that has a place in the end, and why there"),
  schedule: planScheduleSchema.describe("when"),
  survival: survivalSchema.describe(
    "what one more dead neuron would cost after the plan, everything being placed again without it",
  ),
  traffic: z
    .object({ window_secs: z.number().nonnegative().describe("the average is over this time") })
    .nullable()
    .describe("where `per_minute` comes from; null without a gateway"),
});
export type PlanDocument = z.infer<typeof planDocumentSchema>;
