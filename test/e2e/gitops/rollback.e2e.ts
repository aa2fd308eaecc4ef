import { request } from "undici";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { git } from "../../support/fleet/fleet-on-disk.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { serveFleet } from "../../support/git/served-fleet.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

test("rollback makes the commit and shows its plan; merged and applied, the fleet is as before; drift tells of hands", async () => {
  const modelPath = await tinyModelFile();
  await using served = await serveFleet({
    neuronNames: ["a"],
    modelPath,
    models: `[[models]]\nid = "x/y"\nsource = "${sourceOf(modelPath)}"\nreplicas = 1\ncontext = 64\n`,
  });
  const clone = await served.clone("ann");
  const on = (command: string, ...rest: string[]) => served.run([command, "--config", clone, ...rest]);
  const none = await on("drift");
  expect(none.stderr).toContain("has no apply of a commit");
  const first = await git(clone, "rev-parse", "HEAD");
  expect((await on("apply", "--yes")).code).toBe(0);
  const second = await served.change(clone, (text) => text.replace("context = 64", "context = 128"));
  expect((await on("apply", "--yes")).code).toBe(0);

  const rollback = await on("rollback");
  expect(rollback.code, rollback.stderr).toBe(0);
  expect(rollback.stdout).toContain("1 to replace");
  const branch = `rollback-to-${first.slice(0, 8)}-from-${second.slice(0, 8)}`;
  expect(rollback.stderr.replaceAll("\n", " ")).toContain(`git merge --ff-only ${branch}`);
  // Nothing is touched before somebody decides.
  expect(await git(clone, "rev-parse", "HEAD")).toBe(second);
  expect(await git(clone, "status", "--porcelain")).toBe("");
  await git(clone, "merge", "--quiet", "--ff-only", branch);
  await git(clone, "push", "--quiet", "origin", "HEAD");
  expect(await git(clone, "diff", first, "HEAD")).toBe("");
  expect((await on("apply", "--yes")).code).toBe(0);
  const unknown = await on("rollback", "no-such-revision");
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain("fleet_revision_unknown");

  expect((await on("drift")).code).toBe(0);
  const url = served.fleet.neuronUrls["a"] ?? "";
  const { body } = await request(`${url}/models/unload`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_id: "x/y" }),
  });
  await body.dump();
  await eventually(async () => {
    expect(await residentModels(url)).toEqual([]);
  });
  const drifted = await on("drift");
  expect(drifted.code).toBe(2);
  expect(drifted.stdout).toContain("1 to load");
}, 120_000);
