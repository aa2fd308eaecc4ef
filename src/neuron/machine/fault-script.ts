import { parse } from "smol-toml";
import { z } from "zod";
import { CortexError } from "../../core/errors.ts";
import { present } from "../../core/present.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { matchesPattern } from "../../fleet/schema/model-pattern.ts";
import { modelScriptSchema, type ModelScript } from "../../protocol/worker-messages.ts";

const foreignMemorySchema = z.strictObject({
  device: z.int().nonnegative().default(0),
  mib: z.int().positive(),
  /** Seconds after the start. */
  from_secs: z.number().nonnegative().default(0),
  until_secs: z.number().positive().optional(),
});
/** What goes wrong on a simulated neuron, and what its models say: `cortex neuron --simulate DEVICES --script FILE`. */
const faultScriptSchema = z.strictObject({
  /** The driver's complaint: no device is found then. */
  driver_mismatch: z.string().min(1).optional(),
  foreign_memory: z.array(foreignMemorySchema).default([]),
  models: z.array(modelScriptSchema).default([]),
});
export type FaultScript = z.infer<typeof faultScriptSchema>;

/** Reads a script of faults and answers (docs/fault-scripts.md); the first mistake is told with its place. */
export function parseFaultScript(text: string, path: string): Result<FaultScript, CortexError> {
  let document: unknown;
  try {
    document = parse(text);
  } catch (thrown) {
    const [said = ""] = String(thrown instanceof Error ? thrown.message : thrown).split("\n");
    return wrong(path, said);
  }
  const parsed = faultScriptSchema.safeParse(document);
  if (parsed.success) return ok(parsed.data);
  const issue = present(parsed.error.issues[0], "an issue of a script that is refused");
  const place = issue.path.map((part) => (typeof part === "number" ? `[${part + 1}]` : `.${String(part)}`));
  return wrong(path, `${place.join("").replace(/^\./, "") || "the script"}: ${issue.message}`);
}

const wrong = (path: string, what: string): Result<never, CortexError> =>
  err(new CortexError("usage_error", `${path}: ${what}`, { next: "docs/fault-scripts.md shows each key" }));

/** The first that names the model. */
export const scriptFor = (script: FaultScript | undefined, modelId: string): ModelScript | undefined =>
  script?.models.find(({ match }) => matchesPattern(match, modelId));

/** What others use of each device at a time after the start. */
export function foreignMib(script: FaultScript | undefined, afterSecs: number): ReadonlyMap<number, number> {
  const used = new Map<number, number>();
  for (const { device, mib, from_secs: from, until_secs: until = Infinity } of script?.foreign_memory ?? []) {
    if (afterSecs >= from && afterSecs < until) used.set(device, (used.get(device) ?? 0) + mib);
  }
  return used;
}
