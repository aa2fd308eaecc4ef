import { z } from "zod";

/* A declared copy without a place: every question that was asked, who is in the way, and what was found to help. */

/** A copy without a place, in short. */
export const unplacedCopySchema = z.object({
  model_id: z.string().describe("which model"),
  missing_replicas: z
    .int()
    .positive()
    .describe("how many; copies that keep old settings because the new ones fit nowhere count"),
  refusals: z
    .array(z.object({ neuron: z.string().describe("name"), reason: z.string().describe("in words") }))
    .describe("the first failing check of every neuron"),
  hint: z.string().describe("what would help most"),
});

/** One question that was put to a neuron; every one is asked, whatever the earlier ones answered. */
export const placementCheckSchema = z.object({
  check: z
    .string()
    .describe(
      "`pinned_on`, `drain`, `reachable`, `accepts_work`, `harness`, `min_devices`, `min_device_vram_mb`, `one_copy`, `capacity`, `memory`",
    ),
  ok: z.boolean().describe("passed"),
  slack: z
    .number()
    .nullable()
    .describe("how far inside (negative: outside) the limit: MiB, or devices; null when it is not a number"),
  detail: z.string().describe("in words and numbers"),
});
export type PlacementCheck = z.infer<typeof placementCheckSchema>;

export const neuronVerdictSchema = z.object({
  neuron: z.string().describe("name"),
  checks: z.array(placementCheckSchema).describe("all are asked, whatever the earlier ones answered"),
  short_mb: z.int().nonnegative().nullable().describe("what is lacking, when memory is all that is"),
});

/** A line of the fleet files. */
export const fleetLineSchema = z.object({
  table: z.string().describe("`models` or `neurons`"),
  id: z.string().describe("of the block"),
  key: z.string().describe("of the line"),
});

/** The same in full: every question to every neuron, who is in the way, and what was found to help. */
export const explainedUnplacedSchema = unplacedCopySchema.extend({
  layer: z
    .enum(["never", "not_now", "joint"])
    .nullable()
    .describe(
      "not even on an empty fleet; what is in the way is not declared; declared copies are in each other's way; not looked into",
    ),
  summary: z.string().describe("the case in one sentence"),
  verdicts: z
    .array(neuronVerdictSchema)
    .describe("every question to every neuron, or to the nearest misses of a large fleet"),
  need_mb: z.int().nonnegative().nullable().describe("memory of a copy; null when nothing tells"),
  blockers: z
    .array(
      z.object({
        neuron: z.string().describe("where"),
        model_id: z.string().describe("who"),
        vram_mb: z.int().describe("what it holds"),
        because: z
          .string()
          .describe(
            "why it stays: `same_class`, `higher_class`, `protected`, `loaded_by_hand`, `other_fleet`, `nowhere_to_go`",
          ),
      }),
    )
    .describe("the least that would have to leave, where least would have to"),
  conflict: z
    .object({
      models: z
        .array(
          z.object({
            model_id: z.string().describe("id"),
            copies: z.int().describe("declared"),
            vram_mb: z.int().describe("each"),
          }),
        )
        .describe("who"),
      lines: z.array(fleetLineSchema).describe("lines of the files of which each decides"),
      need_mb: z.int().describe("together"),
      have_mb: z.int().describe("all that those neurons could give them"),
      neurons: z.array(z.string()).describe("that may hold any of them"),
    })
    .nullable()
    .describe("declared models that cannot be resident together; without any one of them the others fit"),
  remedies: z
    .array(
      z.object({
        text: z.string().describe("in words"),
        kind: z
          .string()
          .describe(
            "`context`, `vram_mb`, `min_devices`, `min_device_vram_mb`, `pinned_on`, `drain`, `neuron_back`, `resume`, `protect`, `unload`, `foreign_memory`, `residency_priority`, `other_replicas`, `replicas`, `device`",
          ),
        line: fleetLineSchema.nullable().describe("the line to change; null when there is none"),
        from: z.string().nullable().describe("its value now"),
        to: z.string().describe("its new value, or what to add"),
        neuron: z
          .string()
          .nullable()
          .describe("where the copy would go; null when the remedy is to want less"),
        tried: z
          .boolean()
          .describe("the whole fleet was planned with this change, and a copy more had a place"),
        costs: z.array(z.string()).describe("models that would lose a copy by it"),
      }),
    )
    .describe("what would let a copy in, cheapest first; what was tried and does not help is not listed"),
});
export type ExplainedUnplaced = z.infer<typeof explainedUnplacedSchema>;
