import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planDocumentSchema } from "../../src/protocol/plan-document.ts";
import { runCortex } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { fleetText, git } from "../support/fleet/fleet-on-disk.ts";
import { residentModels, type RunningFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

let fleet: RunningFleet;
let source = "";

const models = (replicas: number, rest = "") =>
  `[[models]]\nid = "test/tiny"\nsource = "${source}"\nreplicas = ${replicas}\n${rest}`;

beforeAll(async () => {
  const modelPath = await tinyModelFile();
  source = sourceOf(modelPath);
  fleet = await startFleet({ neuronNames: ["left", "right"], modelPath, models: models(1) });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const portOf = (url: string) => Number(new URL(url).port);

/** Rewrites the fleet file in place, uncommitted. */
async function edit(text: string): Promise<void> {
  const neurons = Object.fromEntries(
    Object.entries(fleet.neuronUrls).map(([name, url]) => [name, portOf(url)]),
  );
  const ports = { gatewayPort: portOf(fleet.gatewayUrl), metricsPort: portOf(fleet.metricsUrl) };
  await writeFile(join(fleet.directory, "fleet.toml"), fleetText({ ...ports, neurons, models: text }));
}

const onFleet = (command: string, ...rest: string[]) =>
  runCortex([command, "--config", fleet.directory, ...rest]);

test("plan shows what is missing and at which revision; apply makes it so; the second plan is empty", async () => {
  const commit = await git(fleet.directory, "rev-parse", "HEAD");
  const before = await onFleet("plan", "--detailed-exitcode");
  expect(before.code, before.stderr).toBe(2);
  expect(before.stdout).toContain(commit.slice(0, 7));
  expect(before.stdout).toContain("Plan: 1 to load");

  const asked = await onFleet("apply");
  expect(asked.code).toBe(64);
  expect(asked.stderr).toContain("--yes");

  const applied = await onFleet("apply", "--yes");
  expect(applied.code, applied.stderr).toBe(0);
  expect(applied.stdout).toMatch(/Applied 1, failed 0, not started 0/);
  const resident = [
    ...(await residentModels(fleet.neuronUrls["left"] ?? "")),
    ...(await residentModels(fleet.neuronUrls["right"] ?? "")),
  ];
  expect(resident).toMatchObject([
    { id: "test/tiny", status: "loaded", origin: { kind: "revision", ref: commit } },
  ]);

  const after = await onFleet("plan", "--detailed-exitcode");
  expect(after.code, after.stdout).toBe(0);
  expect(after.stdout).toContain("No changes");
  const again = await onFleet("apply", "--yes");
  expect(again.code).toBe(0);
});

test("an edit that is not committed is planned and said to be dirty; a committed revision is read from git", async () => {
  await edit(models(2));
  const dirty = await onFleet("plan", "--json");
  const plan = planDocumentSchema.parse(JSON.parse(dirty.stdout));
  expect(plan.revision.dirty).toBe(true);
  expect(plan.changes).toMatchObject([{ kind: "load", model_id: "test/tiny" }]);
  // The gateway may have read the edit by now: that is said, and no change of what is loaded.
  const committed = await onFleet("plan", "--ref", "HEAD", "--json");
  expect(planDocumentSchema.parse(JSON.parse(committed.stdout)).changes).toEqual([]);
});

test("a saved plan is carried out as it was shown; once the fleet has moved on it is refused, naming the neuron", async () => {
  await edit(models(2));
  const file = join(fleet.directory, "plan.json");
  expect((await onFleet("plan", "--out", file)).code).toBe(0);
  const first = await runCortex(["apply", file, "--yes", "--json"]);
  expect(first.code, first.stdout).toBe(0);
  const events = first.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly type: string });
  expect(events[0]?.type).toBe("plan");
  expect(events.at(-1)).toMatchObject({ type: "apply-result", failed: [], not_started: [] });

  await edit(models(2, "context = 128\n"));
  expect((await onFleet("apply", "--yes")).code).toBe(0);
  const stale = await runCortex(["apply", file, "--yes"]);
  const output = stale.stdout + stale.stderr;
  expect(stale.code, output).toBe(1);
  expect(output).toMatch(/(left|right) changed since the plan was made: test\/tiny/);
  expect(output).toContain("stale_generation");
  await edit(models(1));
  expect((await onFleet("apply", "--yes")).code).toBe(0);
});

test("what no file declares any more is unloaded; on-demand models are left alone", async () => {
  await edit(models(0));
  // The gateway reads the edit by itself.
  await eventually(async () => {
    expect((await onFleet("plan")).stdout).toContain("No changes.");
  });
  await edit(`[[models]]\nid = "test/other"\nsource = "${source}"\n`);
  const removed = await onFleet("apply", "--yes");
  expect(removed.code, removed.stdout + removed.stderr).toBe(0);
  expect(removed.stdout).toContain("test/tiny");
  expect(await residentModels(fleet.neuronUrls["left"] ?? "")).toEqual([]);
  expect(await residentModels(fleet.neuronUrls["right"] ?? "")).toEqual([]);
});

test("status shows neurons, devices and what is declared of each model", async () => {
  await edit(models(1));
  const missing = await onFleet("status");
  expect(missing.stdout).toMatch(/left .*ok/);
  expect(missing.stdout).toMatch(/cpu:0/);
  expect(missing.stdout).toMatch(/test\/tiny\s+missing\s+0\/1/);
  expect((await onFleet("apply", "--yes")).code).toBe(0);
  const report = JSON.parse((await onFleet("status", "--json")).stdout) as unknown;
  expect(report).toMatchObject({
    gateway: { status: "ok" },
    models: [{ id: "test/tiny", declared: 1, state: "resident" }],
  });
});
