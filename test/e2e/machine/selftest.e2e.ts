import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SelfTestReport } from "../../../src/protocol/demo-events.ts";
import { runCortex } from "../../support/cortex-process.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";

test("a machine proves that it can serve, and the report says what it measured", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const file = join(directory.path, "report.json");
  const streams = ["--streams", "1", "--streams", "4", "--tokens", "24"];
  const run = await runCortex(["selftest", "--json", "--json-into", file, ...streams], { environment });
  const report = JSON.parse(run.stdout) as SelfTestReport;
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect({ code: run.code, ok: report.ok, backend: report.backend }).toEqual({
    code: 0,
    ok: true,
    backend: "cpu",
  });
  expect(report.throughput.map((one) => one.streams)).toEqual([1, 4]);
  expect(report.memory.measured_mb).toBeGreaterThan(0);
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(report);
});

test("a file that is no model is refused by name", async () => {
  await using directory = await temporaryDirectory();
  const environment = { CORTEX_DATA_DIR: directory.path };
  const run = await runCortex(["selftest", "--model", "/etc/hostname"], { environment });
  expect(run.code).toBe(1);
  expect(run.stderr).toMatch(/model_file_invalid|source_/);
});
