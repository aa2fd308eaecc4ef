import { z } from "zod";

/* What a plan as a whole leads to: how long it takes, what it takes away, and what the next death would cost. */

export const planScheduleSchema = z.object({
  predicted_secs: z
    .number()
    .nonnegative()
    .nullable()
    .describe(
      "from the first change to the last, neurons side by side, without what is fetched; null when nothing can be predicted",
    ),
  unpredicted_steps: z.int().nonnegative().describe("changes whose time is not in that figure"),
  confidence: z.enum(["high", "medium", "low", "none"]).describe("the least on the critical path"),
  critical_path: z.array(z.string()).describe("ids of the changes that make the time what it is, in order"),
  waves: z.int().nonnegative().describe("how many"),
  parallelism: z.int().positive().describe("neurons changed at once; each does one thing at a time"),
});

/** What is left when one neuron dies after the plan: everything is placed again without it. */
export const survivalSchema = z.object({
  neurons: z
    .array(
      z.object({
        neuron: z.string().describe("the one that dies"),
        lost: z.array(z.string()).describe("declared models of which no copy can be placed any more"),
        reduced: z.array(z.string()).describe("declared models with fewer copies"),
        reloaded: z
          .array(z.string())
          .describe("declared models that are down until they are loaded elsewhere"),
      }),
    )
    .nullable()
    .describe("one entry for each neuron that answers; null: not computed"),
  remark: z.string().nullable().describe("why it was not computed"),
});

/** How much of what is loaded goes without coming back elsewhere; above the limit apply refuses without `--allow-mass-unload`. */
export const unloadGuardSchema = z.object({
  copies_loaded: z.int().nonnegative().describe("before"),
  copies_lost: z.int().nonnegative().describe("fewer in the end, model by model"),
  percent: z.int().nonnegative().describe("of them, rounded up"),
  limit_percent: z.int().nonnegative().describe("`max_unload_percent` of `[gitops]`"),
  exceeded: z
    .boolean()
    .describe("apply needs `--allow-mass-unload`; one copy alone counts only where the limit is 0"),
});
