import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { observedNeuron } from "../controller/observed-fleet-builders.ts";
import { CortexProcess, runCortex } from "../support/cortex-process.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { ScriptedNeuron } from "../support/neuron/scripted-neuron.ts";

/** A fleet whose only neuron does not end the load of `m`. */
async function stuckFleet() {
  const directory = await temporaryDirectory();
  const neuron = await ScriptedNeuron.start(observedNeuron("a", { devices: [8000] }));
  neuron.script("m", { held: true });
  const text = `[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "${neuron.endpoint}"\n[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n[[models]]\nid = "n"\nreplicas = 1\nvram_mb = 100\n`;
  await writeFile(join(directory.path, "fleet.toml"), text);
  return {
    path: directory.path,
    neuron,
    async [Symbol.asyncDispose]() {
      await neuron[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test("the second Ctrl-C ends apply at once, although the neuron still works", async () => {
  await using fleet = await stuckFleet();
  await using apply = new CortexProcess(["apply", "--config", fleet.path, "--yes"]);
  await fleet.neuron.called("/models/load");
  await apply.waitFor(/load m@a/);
  process.kill(apply.pid, "SIGINT");
  await apply.waitFor(/Ctrl-C again ends now/);
  expect(await apply.stop("SIGINT")).toEqual({ code: 130, signal: null });
  expect(apply.stderr).toContain("ended while steps were running");
  expect(apply.stdout).toMatch(/Not started\n {2}load n@a: .*\nStill running; .*\n {2}load m@a\n/);
  expect(apply.stdout).toMatch(
    /Applied 0, failed 0, not started 1, still running 1, in .* Stopped early\.\n$/,
  );
});

test("with --json, an error is one event like all others", async () => {
  await using fleet = await stuckFleet();
  const { code, stdout } = await runCortex(["apply", "--config", fleet.path, "--json"]);
  const events = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(code).not.toBe(0);
  expect(events).toMatchObject([
    { type: "plan" },
    { type: "error", error: { code: "confirmation_required" } },
  ]);
});

test("--json-into writes the events into a file beside what people read, up to the error", async () => {
  await using fleet = await stuckFleet();
  fleet.neuron.script("m", { jobError: { code: "disk_full", message: "no space", next: "free space" } });
  const file = join(fleet.path, "apply.ndjson");
  const { code, stdout } = await runCortex(["apply", "--config", fleet.path, "--yes", "--json-into", file]);
  expect(code).toBe(1);
  expect(stdout).toContain("failed load m@a: no space");
  const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  const types = lines.map((line) => (JSON.parse(line) as { readonly type: string }).type);
  expect([types[0], ...types.slice(-2)]).toEqual(["plan", "apply-result", "error"]);
  expect(types).toEqual(expect.arrayContaining(["step-started", "step-failed", "step-done"]));
});

test("a file that cannot be written is said before anything is done", async () => {
  await using fleet = await stuckFleet();
  const file = join(fleet.path, "gone", "apply.ndjson");
  const { code, stderr } = await runCortex(["apply", "--config", fleet.path, "--yes", "--json-into", file]);
  expect(code).toBe(64);
  expect(stderr).toContain("ENOENT");
  expect(fleet.neuron.changes()).toEqual([]);
});
