import { z } from "zod";

/* What a plan as a whole leads to: how long it takes, what it takes away, and what the next death would cost. */

export const planScheduleSchema = z.object({
  /** With neurons side by side; null when no step can be predicted. */
  predicted_secs: z.number().nonnegative().nullable(),
  /** Steps whose duration is not in that figure. */
  unpredicted_steps: z.int().nonnegative(),
  /** The least confidence among the steps of the critical path. */
  confidence: z.enum(["high", "medium", "low", "none"]),
  /** Ids of the steps that make the duration what it is, in order. */
  critical_path: z.array(z.string()),
  waves: z.int().nonnegative(),
  /** Neurons changed at once, as predicted; each neuron loads one model at a time. */
  parallelism: z.int().positive(),
});

/** What is left when one neuron dies after the plan: everything is placed again without it. */
export const survivalSchema = z.object({
  /** Null: not computed, see `remark`. */
  neurons: z
    .array(
      z.object({
        neuron: z.string(),
        /** Declared models of which no copy is left and none can be placed. */
        lost: z.array(z.string()),
        /** Declared models that keep fewer copies than declared. */
        reduced: z.array(z.string()),
        /** Models that are down until they are loaded again elsewhere. */
        reloaded: z.array(z.string()),
      }),
    )
    .nullable(),
  remark: z.string().nullable(),
});

/** How much of what is loaded goes without coming back elsewhere; above the limit apply refuses without `--max-unload`. */
export const unloadGuardSchema = z.object({
  copies_loaded: z.int().nonnegative(),
  copies_lost: z.int().nonnegative(),
  /** Rounded up. */
  percent: z.int().nonnegative(),
  /** `[gitops] max_unload_percent` of the fleet files. */
  limit_percent: z.int().nonnegative(),
  /** More than the limit; one copy alone counts only where the limit is 0. */
  exceeded: z.boolean(),
});
