import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DIAGNOSTIC_CODES } from "../../../src/fleet/text/diagnostic-codes.ts";
import type { Diagnostic } from "../../../src/fleet/text/diagnostics.ts";
import { FLEET_FILE_LIMIT_CHARACTERS } from "../../../src/fleet/text/parse-fleet-file.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { BROKEN_FLEETS, diagnosticText, fixtureFiles } from "../fleet-fixtures.ts";

const names = readdirSync(BROKEN_FLEETS);

const findingsOf = (name: string): readonly Diagnostic[] => {
  const result = parseFleet(fixtureFiles(name));
  return result.ok ? result.value.warnings : result.error;
};

describe("each broken fleet has exactly these findings", () => {
  test.each(names)("%s", (name) => {
    const expected = readFileSync(join(BROKEN_FLEETS, name, "expected.txt"), "utf8");
    expect(`${findingsOf(name).map(diagnosticText).join("\n")}\n`).toBe(expected);
  });
});

test("there are at least forty of them, and no finding repeats a secret of its file", () => {
  expect(names.length).toBeGreaterThanOrEqual(40);
  const shown = JSON.stringify(names.flatMap(findingsOf));
  expect(shown).not.toMatch(/hunter2|sk-4f9c|hf_aaaa|glpat-/);
});

test("every finding says what to write: none falls back to the reference", () => {
  const general = new Set<string>([
    DIAGNOSTIC_CODES.CTX101.help,
    DIAGNOSTIC_CODES.CTX103.help,
    DIAGNOSTIC_CODES.CTX104.help,
  ]);
  expect(names.flatMap(findingsOf).filter(({ help }) => general.has(help))).toEqual([]);
});

test("a fleet without a file is an error, never an empty catalogue", () => {
  const result = parseFleet([]);
  expect(result.ok ? [] : result.error.map(({ code }) => code)).toEqual(["CTX100"]);
});

test("a file beyond the limit is refused unread", () => {
  const text = `# ${"x".repeat(FLEET_FILE_LIMIT_CHARACTERS)}\n`;
  const result = parseFleet([{ path: "weights.toml", text }]);
  expect(result.ok ? [] : result.error.map(({ code, file }) => [code, file])).toEqual([
    ["CTX120", "weights.toml"],
  ]);
});

test("every code has a fixture or a test of its own here", () => {
  const elsewhere = new Set(["CTX100", "CTX118", "CTX120", "CTX132"]);
  const seen = new Set(names.flatMap((name) => findingsOf(name).map(({ code }) => code)));
  const missing = Object.keys(DIAGNOSTIC_CODES).filter((code) => ![...seen, ...elsewhere].includes(code));
  expect(missing).toEqual([]);
});
