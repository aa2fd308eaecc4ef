import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { printPlan } from "../../src/cli/print/print-plan.ts";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../src/fleet/load-fleet.ts";
import { keysOf, schemaAt, writtenSchema } from "../../src/fleet/schema/schema-shape.ts";
import { z } from "zod";
import { observedFleet, observedNeuron, plan, rowsOf } from "../controller/observed-fleet-builders.ts";

const text = readFileSync(join(import.meta.dirname, "../../fleet.example.toml"), "utf8");
const parsed = parseFleet([{ path: "fleet.example.toml", text }]);
const GIB = 1024;

/** What stands in the brackets of a table or of a list of blocks. */
const elementOf = (table: unknown): unknown =>
  writtenSchema(table) instanceof z.ZodArray ? schemaAt(table, [0]) : writtenSchema(table);

const machines = observedFleet(
  observedNeuron("beast", { devices: [32 * GIB, 32 * GIB] }),
  observedNeuron("benjy", { devices: [24 * GIB] }),
  observedNeuron("quadbrat", { devices: [12 * GIB] }),
);

test("the example fleet has no finding, not even a warning", () => {
  expect(parsed.ok ? parsed.value.warnings : parsed.error).toEqual([]);
});

test("it can be planned on the machines that it describes", () => {
  if (!parsed.ok) throw new Error("does not parse");
  const document = plan(parsed.value.fleet, machines);
  expect(rowsOf(document)).toEqual([
    "load Qwen/Qwen3.6-27B@beast [declared_not_loaded]",
    "load Qwen/Qwen3-8B@benjy [declared_not_loaded]",
    "load Qwen/Qwen3-8B@quadbrat [declared_not_loaded]",
  ]);
  expect(document.complete).toBe(true);
  expect(printPlan(document, { colour: false })).toContain(
    "Plan: 3 to load, 0 to unload, 0 to replace, 0 unchanged.",
  );
});

test("it shows every key of every table", () => {
  const tables = Object.values(fleetSchema.shape).flatMap((table) => keysOf(elementOf(table)));
  const missing = tables.filter(
    (key) => !new RegExp(`^(# )?(${key} = |\\[\\w+\\.${key}\\])`, "m").test(text),
  );
  expect(missing).toEqual([]);
});

test("what it shows in comments is valid too: keys, an external engine, a ledger and the loop", () => {
  const shown = text
    .replaceAll(/^# (?=\[|[a-z_0-9]+ = (?:"|\d|\[|\{|true|false))/gm, "")
    .replaceAll('"sha256:..."', `"sha256:${"0".repeat(64)}"`)
    .replaceAll(/^(source = "hf:.*|revision = .*|quant = .*|sha256 = .*)$/gm, "");
  const result = parseFleet([{ path: "fleet.example.toml", text: shown }]);
  const findings = result.ok ? result.value.warnings : result.error;
  expect(findings.map(({ code, sourceLine }) => `${code} ${sourceLine?.split(" ")[0]}`)).toEqual([
    "CTX126 labels",
  ]);
});
