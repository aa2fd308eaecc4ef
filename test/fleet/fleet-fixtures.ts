import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic } from "../../src/fleet/text/diagnostics.ts";
import type { FleetFile } from "../../src/fleet/text/source-lines.ts";

export const BROKEN_FLEETS = join(import.meta.dirname, "../fixtures/fleets/broken");

/** The fleet files of a fixture, named by their path inside it. */
export function fixtureFiles(name: string): FleetFile[] {
  const directory = join(BROKEN_FLEETS, name);
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".toml"))
    .toSorted()
    .map((path) => ({ path, text: readFileSync(join(directory, path), "utf8") }));
}

/** A finding in full, in a form that is easy to read in a fixture. */
export function diagnosticText(finding: Diagnostic): string {
  const { file, line, column, code, severity, message, help, sourceLine, length, related } = finding;
  const marked = sourceLine === undefined ? "" : sourceLine.slice(column - 1, column - 1 + (length ?? 0));
  const lines = [
    `${file}:${line}:${column} ${severity} ${code} [${marked}]`,
    `  ${message}`,
    `  help: ${help}`,
  ];
  for (const place of related ?? [])
    lines.push(`  ${place.file}:${place.line}:${place.column} ${place.message}`);
  return lines.join("\n");
}
