import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { expect, test } from "vitest";
import { runCortex } from "../support/cortex-process.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

/**
 * What the workflows of `cortex init` run, run: the same scripts in the same order, over a real repository with a
 * remote and real neurons. Only the host itself is missing; its API has tests of its own.
 */
const run = promisify(execFile);
const binary = fileURLToPath(new URL("../../bin/run.js", import.meta.url));

interface Outcome {
  readonly code: number;
  readonly output: string;
}

interface Workflow {
  readonly env: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<string, { readonly steps: readonly { readonly name?: string; readonly run?: string }[] }>
  >;
}

/** What the jobs of the workflow run, word for word, by the names of the steps. */
async function workflowIn(checkout: string) {
  const { env, jobs } = parse(
    await readFile(join(checkout, ".github/workflows/cortex.yml"), "utf8"),
  ) as Workflow;
  const named = (job: string): [string, string][] =>
    (jobs[job]?.steps ?? []).flatMap(({ name, run: line }) =>
      line === undefined ? [] : [[name ?? "", line]],
    );
  return { config: env["CORTEX_CONFIG"] ?? "", apply: named("apply"), plan: new Map(named("plan")) };
}

/** A checkout as CI has it, with `cortex` on the PATH. */
async function runner(directory: string) {
  const bin = join(directory, "bin");
  await mkdir(bin);
  await writeFile(join(bin, "cortex"), `#!/bin/sh\nexec "${process.execPath}" "${binary}" "$@"\n`);
  await chmod(join(bin, "cortex"), 0o755);
  const environment = {
    PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
    HOME: directory,
    TMPDIR: join(directory, "tmp"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
  };
  await mkdir(environment.TMPDIR);
  return {
    temporary: environment.TMPDIR,
    script: async (
      checkout: string,
      line: string,
      variables: Readonly<Record<string, string>> = {},
    ): Promise<Outcome> => {
      const env = { ...environment, ...variables };
      try {
        const { stdout, stderr } = await run("bash", ["-e", "-c", line], { cwd: checkout, env });
        return { code: 0, output: stdout + stderr };
      } catch (thrown) {
        const failed = thrown as { code: number; stdout: string; stderr: string };
        return { code: failed.code, output: failed.stdout + failed.stderr };
      }
    },
  };
}

test("a merge is applied and leaves a snapshot; pull requests are planned on it, offline and without a secret", async () => {
  const modelPath = await tinyModelFile();
  await using directory = await temporaryDirectory();
  const models = (replicas: number) =>
    `[[models]]\nid = "x/y"\nsource = "${sourceOf(modelPath)}"\nreplicas = ${replicas}\ncontext = 64\nparallel = 2\n`;
  const { script, temporary } = await runner(directory.path);
  const remote = join(directory.path, "remote.git");
  const clone = join(directory.path, "clone");
  {
    await using fleet = await startFleet({ neuronNames: ["a"], modelPath, models: models(1) });
    expect((await runCortex(["init", fleet.directory, "--ci", "github"])).code).toBe(0);
    await git(fleet.directory, "add", "--all");
    await git(fleet.directory, "commit", "--quiet", "--message", "CI");
    await git(directory.path, "clone", "--quiet", "--bare", fleet.directory, remote);
    await git(directory.path, "clone", "--quiet", remote, clone);
    const { apply, config } = await workflowIn(clone);
    expect(apply.map(([name]) => name)).toEqual(["Install cortex", "Apply", "Publish what apply saw"]);
    for (const [name, line] of apply) {
      const step = await script(clone, line, { CORTEX_CONFIG: config });
      expect([name, step.code], step.output).toEqual([name, 0]);
    }
  }
  // The neurons are gone; from here on nobody can be asked.
  await git(clone, "fetch", "--quiet", "origin");
  await git(clone, "switch", "--quiet", "--create", "change");
  const fleetFile = join(clone, "fleet.toml");
  const text = await readFile(fleetFile, "utf8");
  await writeFile(fleetFile, text.replace("context = 64", "context = 128"));
  await git(clone, "commit", "--quiet", "--all", "--message", "more context");
  const { plan: steps, config } = await workflowIn(clone);
  expect([...steps.keys()]).toEqual(["Install cortex", "Validate and plan", "Comment"]);
  const variables = { CORTEX_CONFIG: config, BASE_BRANCH: "main" };
  for (const name of ["Install cortex", "Validate and plan"]) {
    const planned = await script(clone, steps.get(name) ?? "", variables);
    expect([name, planned.code], planned.output).toEqual([name, 0]);
  }
  const plan = await readFile(join(clone, "plan.md"), "utf8");
  expect(plan).toMatch(/^<!-- cortex-plan:test -->/);
  expect(plan).toContain("x/y");
  expect(plan).toContain("1 to replace");
  expect(plan).toContain("the fleet itself was not asked");

  await writeFile(fleetFile, text.replace("replicas = 1", 'replicas = "1"'));
  const broken = await script(clone, "sh ./.cortex/ci/plan.sh origin/main", { GITHUB_ACTIONS: "true" });
  expect(broken.code).toBe(1);
  expect(broken.output).toMatch(/^::error file=fleet\.toml,line=\d+/m);
  expect(await readFile(join(clone, "plan.md"), "utf8")).toContain(
    "did you mean `replicas = 1`, without quotes?",
  );

  // A main that cannot be read, and the branch that mends it.
  await git(clone, "commit", "--quiet", "--all", "--message", "broken");
  await git(clone, "push", "--quiet", "origin", "change:main");
  await writeFile(fleetFile, text);
  await git(clone, "commit", "--quiet", "--all", "--message", "mended");
  const mended = await script(clone, "sh ./.cortex/ci/plan.sh origin/main");
  expect(mended.code, mended.output).toBe(0);
  expect(await readFile(join(clone, "plan.md"), "utf8")).toMatch(/^<!-- cortex-plan:test -->/);
  expect((await run("ls", [temporary])).stdout).toBe("");
}, 120_000);

test("a job without cortex says where to write its package; the neurons' token does not outlive its job", async () => {
  await using directory = await temporaryDirectory();
  const fleet = join(directory.path, "fleet");
  expect((await runCortex(["init", fleet, "--ci", "forgejo"])).code).toBe(0);
  const { script, temporary } = await runner(directory.path);
  const without = await script(fleet, "sh ./.cortex/ci/install.sh", {
    PATH: "/usr/bin:/bin",
    CORTEX_PACKAGE: "",
  });
  expect(without.code).toBe(1);
  expect(without.output).toContain("CORTEX_PACKAGE in .forgejo/workflows/cortex.yml");
  const applied = await script(fleet, "sh ./.cortex/ci/apply.sh", {
    NEURON_TOKEN: "s3cret-token-0123456789",
  });
  expect(applied.code).not.toBe(0);
  expect(applied.output).not.toContain("s3cret");
  expect((await run("ls", [temporary])).stdout).toBe("");
}, 60_000);
