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
const lostDeviceSchema = z.strictObject({
  device: z.int().nonnegative(),
  /** Seconds after the start; for good. */
  from_secs: z.number().nonnegative().default(0),
});
/** What goes wrong on a simulated neuron, and what its models say: `cortex neuron --simulate DEVICES --script FILE`. */
const faultScriptSchema = z.strictObject({
  /** The driver's complaint: no device is found then. */
  driver_mismatch: z.string().min(1).optional(),
  foreign_memory: z.array(foreignMemorySchema).default([]),
  /** Cards that fall off the bus. */
  lost_devices: z.array(lostDeviceSchema).default([]),
  models: z.array(modelScriptSchema).default([]),
});
export type FaultScript = z.infer<typeof faultScriptSchema>;

/** A script of a whole fleet, `cortex up --simulate FLEET --script FILE`: what holds everywhere, and for neurons by name. */
const fleetScriptSchema = faultScriptSchema.extend({
  neurons: z.record(z.string(), faultScriptSchema).default({}),
});
export type FleetScript = z.infer<typeof fleetScriptSchema>;

/** Reads a script of faults and answers (docs/fault-scripts.md); the first mistake is told with its place. */
export const parseFaultScript = (text: string, path: string): Result<FaultScript, CortexError> =>
  parseScript(text, path, faultScriptSchema);

export const parseFleetScript = (text: string, path: string): Result<FleetScript, CortexError> =>
  parseScript(text, path, fleetScriptSchema);

/** What one neuron of a fleet plays: of what is its own, the first that names a model counts. */
export function scriptOfNeuron({ neurons, ...everywhere }: FleetScript, name: string): FaultScript {
  const own = neurons[name];
  if (own === undefined) return everywhere;
  const driverMismatch = own.driver_mismatch ?? everywhere.driver_mismatch;
  return {
    ...(driverMismatch === undefined ? {} : { driver_mismatch: driverMismatch }),
    foreign_memory: [...own.foreign_memory, ...everywhere.foreign_memory],
    lost_devices: [...own.lost_devices, ...everywhere.lost_devices],
    models: [...own.models, ...everywhere.models],
  };
}

// oxlint-disable-next-line max-params -- what is read, where it is from, and what it should be
function parseScript<Script>(
  text: string,
  path: string,
  schema: z.ZodType<Script>,
): Result<Script, CortexError> {
  let document: unknown;
  try {
    document = parse(text);
  } catch (thrown) {
    const [said = ""] = String(thrown instanceof Error ? thrown.message : thrown).split("\n");
    return wrong(path, said);
  }
  const parsed = schema.safeParse(document);
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

/** Cards that have fallen off by a time after the start. */
export const lostDevices = (script: FaultScript | undefined, afterSecs: number): ReadonlySet<number> =>
  new Set(
    (script?.lost_devices ?? []).flatMap(({ device, from_secs: from }) => (afterSecs >= from ? device : [])),
  );

/** What others use of each device at a time after the start. */
export function foreignMib(script: FaultScript | undefined, afterSecs: number): ReadonlyMap<number, number> {
  const used = new Map<number, number>();
  for (const { device, mib, from_secs: from, until_secs: until = Infinity } of script?.foreign_memory ?? []) {
    if (afterSecs >= from && afterSecs < until) used.set(device, (used.get(device) ?? 0) + mib);
  }
  return used;
}
