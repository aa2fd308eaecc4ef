import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { residentModels, sourceOf } from "../../support/fleet/running-fleet.ts";
import { serveFleet } from "../../support/git/served-fleet.ts";

const DEMO = fileURLToPath(new URL("../../../assets/demo/cortex-demo.gguf", import.meta.url));

const block = (probe: string) =>
  `[[models]]\nid = "x/y"\nsource = "${sourceOf(DEMO)}"\nreplicas = 1\ncontext = 512\nprobe = { ${probe} }\n`;

const gone = (text: string): string => text.replace(/\[\[models\]\][^]*$/, '[[models]]\nid = "other"\n');

test("a real copy answers its probe or is taken down; what applies took is foretold by the next plans, and judged", async () => {
  await using served = await serveFleet({
    neuronNames: ["a"],
    modelPath: DEMO,
    models: block('prompt = "Hello!"'),
  });
  const clone = await served.clone("ann");
  const on = (command: string, ...rest: string[]) => served.run([command, "--config", clone, ...rest]);
  const plan = async () => JSON.parse((await on("plan", "--json")).stdout) as PlanDocument;
  const models = () => residentModels(served.fleet.neuronUrls["a"] ?? "");
  const none = await on("history", "--accuracy");
  expect(none.stdout).toContain("Nothing that was foretold was measured yet");

  const applied = await on("apply", "--yes");
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  expect(applied.stdout).toContain("load x/y@a: probing");
  expect(await models()).toHaveLength(1);

  expect((await plan()).changes).toEqual([]);

  // A copy that does not answer as declared.
  await served.change(clone, (text) =>
    text
      .replace("context = 512", "context = 448")
      .replace(/probe = .*/, 'probe = { prompt = "Hello!", expect = "no model says this: 7b1f" }'),
  );
  const failed = await on("apply", "--yes");
  expect(failed.code).toBe(1);
  expect(failed.stdout).toContain("[probe_failed] x/y on a: its answer of");
  expect(failed.stdout).toContain("it was unloaded again");
  expect(await models()).toEqual([]);
  expect((await plan()).changes.map(({ id }) => id)).toEqual(["load x/y@a"]);

  // Loaded with what it does say; then the block goes, comes back and goes.
  await served.change(clone, (text) => text.replace(/probe = .*\n/, ""));
  expect((await on("apply", "--yes")).code).toBe(0);
  await served.change(clone, gone);
  expect((await plan()).changes.map(({ kind, duration }) => [kind, duration.source])).toEqual([
    ["unload", "default_rate"],
  ]);
  expect((await on("apply", "--yes")).code).toBe(0);
  await served.change(clone, (text) => text.replace(/\[\[models\]\][^]*$/, block('prompt = "Hello!"')));
  expect((await on("apply", "--yes")).code).toBe(0);
  await served.change(clone, gone);
  expect((await plan()).changes.map(({ kind, duration }) => [kind, duration.source])).toEqual([
    ["unload", "measured"],
  ]);
  const accuracy = await on("history", "--accuracy");
  expect(accuracy.stdout).toMatch(
    /^FORETOLD +FROM +HOW OFTEN +MEASURED \/ FORETOLD +OFF BY +9 OF 10 WITHIN$/m,
  );
  expect(accuracy.stdout).toMatch(/^seconds +all steps +4 /m);
  expect(accuracy.stdout).toMatch(/From 5 applies of test\./);
}, 180_000);
