import { present } from "../core/present.ts";
import { err, ok, type Result } from "../core/result.ts";
import { checkFleet } from "./check/check-fleet.ts";
import { declaredBlocks } from "./check/declared-blocks.ts";
import { diagnostic, sortDiagnostics, type Diagnostic } from "./text/diagnostics.ts";
import { applyOverrides, overriddenSettings } from "./check/environment-overrides.ts";
import type { Fleet } from "./schema/fleet-schema.ts";
import { foreignFile, unreadableFile } from "./check/foreign-files.ts";
import { MergedFleetDocument } from "./check/merge-fleet-files.ts";
import { parseFleetFile, type ParsedFile } from "./text/parse-fleet-file.ts";
import { checkSchema } from "./check/schema-findings.ts";
import type { FleetFile } from "./text/source-lines.ts";
import { readBrokenFile, type BrokenFile } from "./text/syntax-recovery.ts";

/** A fleet that may be acted on. Frozen: what was checked is what is used. */
export interface CheckedFleet {
  readonly fleet: Fleet;
  /** Findings that do not forbid acting. */
  readonly warnings: readonly Diagnostic[];
  /** Settings that the environment has its own values for: "gateway.listen", "models.Qwen/Qwen3-8B.replicas". */
  readonly overridden: readonly string[];
}

/**
 * Fleet files to a fleet, or every finding at once (warnings among them), in reading order.
 * `overrides` are environment variables; those that override nothing in a fleet are left alone unless they look
 * as if they should. An empty set of files is an error: nothing may ever act on an empty catalogue by accident.
 */
export function parseFleet(
  files: readonly FleetFile[],
  overrides: Readonly<Record<string, string>> = {},
): Result<CheckedFleet, readonly Diagnostic[]> {
  if (files.length === 0) {
    const at = { file: "", line: 1, column: 1 };
    return err([diagnostic({ code: "CTX100", at, message: "there is no fleet file" })]);
  }
  const { parsed, syntaxErrors } = readFiles(files);
  const merged = new MergedFleetDocument(parsed);
  const unapplied = applyOverrides(merged, overrides);
  const isWhole = parsed.length > 0 && syntaxErrors.every(({ code }) => code === "CTX131");
  // What could not be read may hold what seems to be missing.
  const schema = checkSchema(merged);
  const shaped = [...unapplied, ...schema.findings].filter(({ code }) => isWhole || !ABSENCES.has(code));
  // References into a file that could not be read would all look wrong.
  const checked = isWhole ? checkFleet({ merged, declared: declaredBlocks(merged, schema.fleet) }) : [];
  const findings = [...syntaxErrors, ...merged.conflicts, ...shaped, ...checked];
  if (findings.some(({ severity }) => severity === "error")) return err(sortDiagnostics(findings));
  return ok({
    fleet: deepFreeze(present(schema.fleet, "the fleet")),
    warnings: sortDiagnostics(findings),
    overridden: overriddenSettings(merged),
  });
}

function readFiles(files: readonly FleetFile[]): {
  readonly parsed: readonly ParsedFile[];
  readonly syntaxErrors: readonly Diagnostic[];
} {
  const read = files.map((file): BrokenFile => {
    const refused = unreadableFile(file);
    if (refused !== undefined) return { errors: [refused], readable: undefined };
    const result = parseFleetFile(file);
    if (!result.ok) return readBrokenFile(file, result.error);
    const foreign = foreignFile(file.path, result.value.document);
    return foreign === undefined
      ? { errors: [], readable: result.value }
      : { errors: [foreign], readable: undefined };
  });
  return {
    parsed: read.flatMap(({ readable }) => readable ?? []),
    syntaxErrors: read.flatMap(({ errors }) => errors),
  };
}

const ABSENCES = new Set<string>(["CTX104", "CTX118"]);

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) deepFreeze<unknown>(inner);
  return Object.freeze(value);
}
