import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { printImportNotes } from "../../../src/cli/view/import-view.ts";
import { importOf } from "./import-of.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";

test("llama-swap: ids with spaces are carried under a name without, and preloads by alias count", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "config.yaml");
  await writeFile(
    path,
    `models:
  "a b": { cmd: "llama-server -m /a.gguf", aliases: [nick] }
  "a  b": { cmd: "llama-server -m /b.gguf" }
  a-b: { cmd: "llama-server -m /c.gguf" }
hooks: { on_startup: { preload: [nick] } }
`,
  );
  const { not_carried, files, diagnostics } = await importOf({ path });
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const text = files[1]?.text ?? "";
  expect([...text.matchAll(/^id = "(.*)"$/gm)].map(([, id]) => id)).toEqual(["a-b-2", "a-b-3", "a-b"]);
  expect(text).toMatch(/id = "a-b-2"\nsource = "file:\/a\.gguf"\nparallel = 1\nreplicas = 1/);
  expect(text).toContain('nick = "a-b-2"');
  expect(not_carried.map(({ what, reason }) => `${what}: ${reason}`)).toEqual([
    "models.a b: an id has no spaces: clients ask for `a-b-2` here",
    "models.a  b: an id has no spaces: clients ask for `a-b-3` here",
  ]);
});

test("models that are left out come first, settings are grouped by reason", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "config.yaml");
  const many = Array.from(
    { length: 9 },
    (_, index) => `  m${index}: { cmd: "llama-server -m /m.gguf --temp 0.${index}" }\n`,
  );
  await writeFile(path, `models:\n${many.join("")}  painter: { cmd: "sd-server -m x.safetensors" }\n`);
  const result = await importOf({ path });
  expect(result.not_carried.filter((note) => note.lost_model !== undefined)).toMatchObject([
    { lost_model: "painter" },
  ]);
  const lines = printImportNotes(result.not_carried, result).replaceAll(path, "F").split("\n");
  expect(lines.slice(0, 4)).toEqual([
    "Carried over: 1 neuron, 9 models.",
    "",
    "Left out: 1 model.",
    "  F:11  painter",
  ]);
  expect(lines.slice(-7)).toEqual([
    "  sampling comes from the request, then from the model's own file",
    ...[0, 1, 2, 3, 4].map((index) => `      F:${index + 2}  models.m${index}.cmd: --temp 0.${index}`),
    "      and 4 more; --json lists them all",
  ]);
});
