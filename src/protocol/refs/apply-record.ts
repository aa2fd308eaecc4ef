import { z } from "zod";
import { fleetRevisionSchema } from "../../fleet/fleet-revision.ts";

/**
 * What became of a plan, with what had been predicted beside what was measured: one apply, one record. The history of a
 * fleet keeps them, and predictions are judged by them. A history
 * lives long: readers ignore fields that they do not know, and words of the plan are kept as they were.
 */
export const APPLY_RECORD_VERSION = 1;

export const stepOutcomeSchema = z.enum([
  "applied",
  "failed",
  "not_started",
  /** Nobody waited for it any longer: its neuron finished or dropped it. */
  "still_running",
]);
export type StepOutcome = z.infer<typeof stepOutcomeSchema>;

export const stepRecordSchema = z.object({
  step: z.string().describe("id of the plan's change"),
  model_id: z.string().describe("which model"),
  neuron: z.string().describe("where"),
  kind: z.string().describe("as the plan says"),
  actions: z.array(z.string()).describe("carried out in order"),
  devices: z.array(z.int()).describe("indices"),
  spec_hash: z
    .string()
    .nullable()
    .default(null)
    .describe("of the settings that were loaded; null for an unload, and in records of older versions"),
  outcome: stepOutcomeSchema.describe("what became of it"),
  reason: z.string().nullable().describe("why it failed or was not started; null otherwise"),
  code: z.string().nullable().describe("of the error that it failed with"),
  predicted: z
    .object({
      secs: z.number().nonnegative().nullable().describe("null when nothing allowed a guess"),
      source: z.string().describe("what the guess came from, as the plan calls it"),
      download_bytes: z.int().nonnegative().nullable().describe("null when that was not known"),
      vram_mb: z.int().nonnegative().describe("held after it"),
    })
    .describe("by the plan"),
  actual: z
    .object({
      secs: z.number().nonnegative().describe("from the first question to the end"),
      download_bytes: z.int().nonnegative().describe("fetched, as its neuron told"),
      vram_mb: z.int().nonnegative().nullable().describe("held after it; null when its neuron did not say"),
    })
    .nullable()
    .describe("null unless it was applied, and where an earlier run of the plan had done it"),
});
export type StepRecord = z.infer<typeof stepRecordSchema>;

export const applyRecordSchema = z.object({
  format_version: z.literal(APPLY_RECORD_VERSION).describe("of this form"),
  cortex_version: z.string().describe("of the cortex that made the plan"),
  fleet: z.string().describe("`name` of `[fleet]`"),
  revision: fleetRevisionSchema.describe("that was applied"),
  fleet_digest: z.string().describe("of what its files mean"),
  plan_digest: z.string().describe("of the plan"),
  epoch: z.int().nonnegative().nullable().describe("of the lock; null without one"),
  started_at_ms: z.number().describe("milliseconds since 1970"),
  ended_at_ms: z.number().describe("milliseconds since 1970"),
  predicted_secs: z.number().nonnegative().nullable().describe("for all of it; null when not predicted"),
  actual_secs: z.number().nonnegative().describe("of all of it"),
  interrupted: z.boolean().describe("somebody stopped it"),
  timed_out: z.boolean().describe("its time was over"),
  superseded: z.boolean().describe("it lost the lock, or a neuron had obeyed a newer apply"),
  as_declared: z.boolean().describe("every change was applied, and the fleet is then as declared"),
  steps: z.array(stepRecordSchema).describe("every change of the plan"),
});
export type ApplyRecord = z.infer<typeof applyRecordSchema>;
