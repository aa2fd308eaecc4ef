import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCortex } from "../support/cortex-process.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { applyFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

test("init makes a fleet that is valid; a slip is shown at its line in every format, with what to do", async () => {
  await using directory = await temporaryDirectory();
  const made = await runCortex(["init", "fleet", "--ci", "forgejo"], { cwd: directory.path });
  expect(made.code, made.stderr).toBe(0);
  expect(made.stdout).toContain(".forgejo/workflows/cortex.yml");
  expect(made.stdout).toContain("cortex plan");
  const fleet = join(directory.path, "fleet");
  const valid = await runCortex(["validate"], { cwd: fleet });
  expect(valid.stdout).toBe("Valid: fleet fleet, 1 neuron, 1 model, nothing committed yet.\n");
  await git(fleet, "add", "--all");
  await git(fleet, "commit", "--quiet", "--message", "A fleet");

  const models = await readFile(join(fleet, "models.toml"), "utf8");
  await writeFile(join(fleet, "models.toml"), models.replace("\nreplicas =", "\nreplicsa ="));
  const line = models.split("\n").findIndex((text) => text.startsWith("replicas =")) + 1;
  const text = await runCortex(["validate"], { cwd: fleet });
  expect([text.code, text.stdout]).toEqual([1, ""]);
  expect(text.stderr).toContain(`models.toml:${line}:1: error CTX102`);
  expect(text.stderr).toContain("did you mean `replicas`?");
  const github = await runCortex(["validate", "--format", "github"], { cwd: fleet });
  expect([github.code, github.stderr]).toEqual([1, ""]);
  expect(github.stdout).toMatch(
    new RegExp(`^::error file=models\\.toml,line=${line},[^\\n]*title=CTX102::[^\\n]*\\n$`),
  );
  const sarif = await runCortex(["validate", fleet, "--format", "sarif"], { cwd: fleet });
  expect(sarif.code).toBe(1);
  expect(JSON.parse(sarif.stdout)).toMatchObject({
    version: "2.1.0",
    runs: [
      {
        results: [
          {
            ruleId: "CTX102",
            locations: [
              { physicalLocation: { artifactLocation: { uri: "models.toml" }, region: { startLine: line } } },
            ],
          },
        ],
      },
    ],
  });
  const [asJson, asFormat] = [
    await runCortex(["validate", "--json"], { cwd: fleet }),
    await runCortex(["validate", "--format", "json"], { cwd: fleet }),
  ];
  expect([asJson.code, asJson.stdout]).toEqual([1, asFormat.stdout]);

  const committed = await runCortex(["validate", "--ref", "HEAD", "--json"], { cwd: fleet });
  expect(JSON.parse(committed.stdout)).toMatchObject({ valid: true, revision: { dirty: false } });
  const remote = await runCortex(["validate", `git+file://${fleet}#main`], {
    environment: { CORTEX_DATA_DIR: join(directory.path, "data") },
  });
  expect(remote.stdout, remote.stderr).toBe("Valid: fleet fleet, 1 neuron, 1 model.\n");
  await writeFile(join(fleet, "models.toml"), `${models}\n# a remark\n`);
  const dirty = await runCortex(["validate", "--config", fleet]);
  expect(dirty.stdout).toMatch(/, with changes that are not in [0-9a-f]{8}\.\n$/);
});

test("what is not found or not allowed says so, and exits as the table has it", async () => {
  await using directory = await temporaryDirectory();
  for (const [commandLine, code, words] of [
    [["validate", "nowhere"], 1, /nowhere does not exist[\s\S]*Next: .*cortex init/],
    [["validate", "--format", "xml"], 64, /one of: text, json, sarif, github/],
    [["validate", "--formt", "text"], 64, /did you mean --format\?/],
    [["validat"], 64, /did you mean cortex validate\?/],
    [["init", "--package", "a b"], 64, /not a package that npm can install/],
    [
      ["init", "--package", "https://me:hunter2@host/c.tgz"],
      64,
      /holds a password or a token, and(?![\s\S]*hunter2)/,
    ],
    [["validate", "git+file:///nonexistent/fleet.git"], 69, /cannot fetch[\s\S]*git ls-remote/],
    [["init", "--name", "My Fleet"], 64, /lower-case letters, digits and dashes/],
    [["init", "--ci", "none", "--ci", "github"], 64, /goes with no other/],
    [["import"], 64, /say what to import[\s\S]*Next: cortex import/],
    [["import", "--neuron", "beast"], 64, /not NAME=URL/],
  ] as const) {
    const result = await runCortex(commandLine, {
      cwd: directory.path,
      environment: { CORTEX_DATA_DIR: directory.path },
    });
    expect([commandLine, result.code]).toEqual([commandLine, code]);
    expect(result.stderr).toMatch(words);
  }
});

test("with --json, a command that does not exist and a flag that does not exist are JSON, too", async () => {
  for (const commandLine of [
    ["validat", "--json"],
    ["validate", "--formt", "--json"],
    ["init", "--ci", "x", "--json"],
  ]) {
    const { code, stdout, stderr } = await runCortex(commandLine);
    expect([code, stderr]).toEqual([64, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "usage_error" } });
  }
});

test("schema prints what the repository's copy holds", async () => {
  await using directory = await temporaryDirectory();
  await runCortex(["init", "--ci", "none"], { cwd: directory.path });
  const printed = await runCortex(["schema"]);
  expect(await readFile(join(directory.path, ".cortex/fleet.schema.json"), "utf8")).toBe(printed.stdout);
  const ofPlans = await runCortex(["schema", "plan"]);
  expect(ofPlans.stdout).toBe(await readFile("schema/plan.schema.json", "utf8"));
});

test("an import from live neurons plans to nothing, and is never written over", async () => {
  const modelPath = await tinyModelFile();
  await using fleet = await startFleet({
    neuronNames: ["a", "b"],
    modelPath,
    models: `[[models]]\nid = "x/y"\nsource = "${sourceOf(modelPath)}"\nreplicas = 2\ncontext = 64\nparallel = 2\n`,
  });
  await applyFleet(fleet);
  await using directory = await temporaryDirectory();
  const neurons = Object.entries(fleet.neuronUrls).flatMap(([name, url]) => ["--neuron", `${name}=${url}`]);
  const out = join(directory.path, "imported");
  const imported = await runCortex(["import", "--from", "live", ...neurons, "--out", out]);
  expect(imported.code, imported.stderr).toBe(0);
  expect(imported.stdout).toContain("Carried over: 2 neurons, 1 model. Nothing was left behind.");
  const plan = await runCortex(["plan", "--config", out, "--detailed-exitcode"]);
  expect(plan.code, plan.stdout + plan.stderr).toBe(0);
  const again = await runCortex(["import", ...neurons, "--out", out]);
  expect(again.code).toBe(64);
  expect(again.stderr).toContain("nothing was written");
});
