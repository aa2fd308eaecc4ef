import { parseJson } from "../../../core/json.ts";
import { readFile, rename, writeFile } from "node:fs/promises";
import { CortexError } from "../../../core/errors.ts";
import { fleetSnapshotSchema, type FleetSnapshot } from "../../../protocol/fleet-snapshot.ts";
import { planDocumentSchema, type PlanDocument } from "../../../protocol/plan-document.ts";

/** A snapshot that `cortex snapshot --out` wrote. Throws `snapshot_invalid`. */
export async function readSnapshot(path: string): Promise<FleetSnapshot> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw new CortexError("snapshot_invalid", `cannot read the snapshot ${path}`, {
      next: `cortex snapshot --out ${path} writes one`,
      cause: thrown,
    });
  });
  const parsed = fleetSnapshotSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  const where = at === "" ? "" : ` (${at})`;
  throw new CortexError("snapshot_invalid", `${path} is not a snapshot of this version of cortex${where}`, {
    cause: parsed.error,
  });
}

/** A plan that `cortex plan --out` wrote. Throws `usage_error`. */
export async function readSavedPlan(path: string): Promise<PlanDocument> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw new CortexError("usage_error", `cannot read the plan ${path}`, {
      next: `cortex plan --out ${path} writes one`,
      cause: thrown,
    });
  });
  const parsed = planDocumentSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CortexError("usage_error", `${path} is not a plan of this version of cortex`, {
    next: `write it again: cortex plan --out ${path}`,
    cause: parsed.error,
  });
}

/** Whole or not at all: a reader never sees half a file. Throws `usage_error` where nothing can be written. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  const draft = `${path}.part`;
  try {
    await writeFile(draft, `${JSON.stringify(value, undefined, 2)}\n`);
    await rename(draft, path);
  } catch (thrown) {
    throw new CortexError("usage_error", `cannot write ${path}`, {
      next: "name a file in a directory that exists and may be written",
      cause: thrown,
    });
  }
}
