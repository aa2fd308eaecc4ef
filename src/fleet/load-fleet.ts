import { err, ok, type Result } from "../core/result.ts";
import { checkFleet } from "./check-fleet.ts";
import { declaredBlocks } from "./declared-blocks.ts";
import { diagnostic, sortDiagnostics, type Diagnostic } from "./diagnostics.ts";
import { applyOverrides } from "./environment-overrides.ts";
import { fleetSchema, type Fleet } from "./fleet-schema.ts";
import { MergedFleetDocument } from "./merge-fleet-files.ts";
import { parseFleetFile, type ParsedFile } from "./parse-fleet-file.ts";
import { schemaFindings } from "./schema-findings.ts";
import type { FleetFile } from "./source-lines.ts";
import { readBrokenFile } from "./syntax-recovery.ts";

/** A fleet that may be acted on. Frozen: what was checked is what is used. */
export interface CheckedFleet {
  readonly fleet: Fleet;
  /** Findings that do not forbid acting. */
  readonly warnings: readonly Diagnostic[];
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
  const parsed: ParsedFile[] = [];
  const syntaxErrors: Diagnostic[] = [];
  for (const file of files) {
    const result = parseFleetFile(file);
    if (result.ok) parsed.push(result.value);
    else {
      const { errors, readable } = readBrokenFile(file, result.error);
      syntaxErrors.push(...errors);
      if (readable !== undefined) parsed.push(readable);
    }
  }
  const merged = new MergedFleetDocument(parsed);
  const unapplied = applyOverrides(merged, overrides);
  const findings = [...syntaxErrors, ...merged.conflicts];
  // What could not be read may hold what seems to be missing.
  findings.push(
    ...[...unapplied, ...schemaFindings(merged)].filter(
      (finding) => syntaxErrors.length === 0 || !ABSENCES.has(finding.code),
    ),
  );
  // References into a file that could not be read would all look wrong.
  if (syntaxErrors.length === 0) findings.push(...checkFleet({ merged, declared: declaredBlocks(merged) }));
  if (findings.some(({ severity }) => severity === "error")) return err(sortDiagnostics(findings));
  return ok({ fleet: deepFreeze(fleetSchema.parse(merged.document)), warnings: sortDiagnostics(findings) });
}

const ABSENCES = new Set<string>(["CTX104", "CTX118"]);

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) deepFreeze<unknown>(inner);
  return Object.freeze(value);
}
