import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { holdsFleet } from "../../src/doctor/io/holds-fleet.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-doctor-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test.each([
  ["a fleet", { "fleet.toml": '[fleet]\nname = "home"\n' }, true],
  ["a fleet in parts", { "models.toml": '# ours\n\n  [[models]]\nid = "a"\n' }, true],
  ["nothing", {}, false],
  ["the example of a checkout of cortex", { "fleet.example.toml": '[fleet]\nname = "home"\n' }, false],
  ["another program's", { "pyproject.toml": '[project]\nname = "x"\n' }, false],
  ["a fleet's table in another file", { "notes.md": "[fleet]\n" }, false],
])("%s", async (_what, files, expected) => {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  expect(await holdsFleet(folder)).toBe(expected);
});

test("a folder that is not there", async () => {
  expect(await holdsFleet(join(folder, "absent"))).toBe(false);
});
