import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { CI_HOSTS, fleetNameFrom, hostOfRemote } from "../../../src/controller/adopt/init-files.ts";
import { initRepository } from "../../../src/controller/adopt/io/init-repository.ts";
import { loadFleet } from "../../../src/repository/io/load-fleet.ts";
import { fleetJsonSchemaText } from "../../../src/fleet/schema/fleet-json-schema.ts";
import { git, temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";

const run = promisify(execFile);
const environment = { inherited: { PATH: process.env["PATH"], HOME: "/nonexistent" } };

async function initIn(directory: string, options: Partial<Parameters<typeof initRepository>[0]> = {}) {
  return initRepository({ directory, git: true, ...options }, environment);
}

async function filesBelow(directory: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !path.startsWith(".git/"));
  const texts = await Promise.all(paths.map((path) => readFile(join(directory, path), "utf8")));
  return Object.fromEntries(paths.map((path, index) => [path, texts[index] ?? ""]));
}

/** All texts of a YAML document. */
const textsOf = (value: unknown): string[] =>
  typeof value === "string"
    ? [value]
    : typeof value === "object" && value !== null
      ? Object.values(value).flatMap(textsOf)
      : [];

interface Job {
  readonly if: string;
  readonly permissions: Readonly<Record<string, string>>;
}

interface Workflow {
  readonly on: { readonly push: { readonly branches: readonly string[] } };
  readonly permissions: unknown;
  readonly env: unknown;
  readonly jobs: { readonly plan: Job; readonly apply: Job };
}

describe("cortex init", () => {
  test("makes a fleet that is valid, without a warning, with everything its files refer to", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "My Fleet");
    const result = await initIn(path, { hosts: [...CI_HOSTS] });
    const files = await filesBelow(path);
    expect(Object.keys(files).toSorted()).toEqual(result.made.map((file) => file.path).toSorted());
    const { fleet, warnings, revision } = await loadFleet({ path, ...environment });
    expect([fleet.fleet.name, warnings, revision.dirty]).toEqual(["my-fleet", [], true]);
    expect(files[".cortex/fleet.schema.json"]).toBe(fleetJsonSchemaText());
    for (const [name, text] of Object.entries(files)) {
      expect(text, name).not.toMatch(/(?<![\w/])@[a-z-]+@/);
      expect(text.startsWith("#:schema ./.cortex/fleet.schema.json\n")).toBe(name.endsWith(".toml"));
      for (const [script] of text.matchAll(/\.cortex\/ci\/[a-z-]+\.[a-z]+/g))
        expect(Object.keys(files)).toContain(script);
    }
    expect(files[".cortex/ci/comment.mjs"]).toContain("<!-- cortex-plan:my-fleet -->");
    expect(await git(path, "check-ignore", "neuron.token", "plan.json")).toBe("neuron.token\nplan.json");
  });

  test("each line of the workflows is a shell's, each script they run is there, and each cortex command exists", async () => {
    await using directory = await temporaryDirectory();
    await initIn(directory.path, { hosts: [...CI_HOSTS] });
    const files = await filesBelow(directory.path);
    const commands = await readdir(join(import.meta.dirname, "../../../src/commands"));
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith(".sh")) await run("sh", ["-n", join(directory.path, path)]);
      if (path.endsWith(".mjs")) await run(process.execPath, ["--check", join(directory.path, path)]);
      if (!/\.(?:sh|yml)$/.test(path)) continue;
      for (const [, command] of text.matchAll(/^\s*(?:if .*; then |if (?:! )?)?cortex ([a-z]+)/gm))
        expect(commands, path).toContain(`${command ?? ""}.ts`);
    }
    const workflows = Object.keys(files).filter((path) => path.endsWith(".yml"));
    expect(workflows).toHaveLength(CI_HOSTS.length);
    for (const path of workflows) {
      const lines = textsOf(parseYaml(files[path] ?? "")).filter((text) => text.includes(".cortex/ci/"));
      expect(lines.length, path).toBeGreaterThan(3);
      for (const line of lines) await run("bash", ["-n", "-c", line]);
    }
  });

  test("in a workflow, only applying sees a secret, and each job may do no more than it does", async () => {
    await using directory = await temporaryDirectory();
    await initIn(directory.path, { hosts: [...CI_HOSTS] });
    const files = await filesBelow(directory.path);
    for (const path of Object.keys(files).filter((name) => name.includes("workflows/"))) {
      const workflow = parseYaml(files[path] ?? "") as Workflow;
      expect(workflow.permissions).toEqual({ contents: "read" });
      const { plan, apply } = workflow.jobs;
      expect(JSON.stringify(plan)).not.toMatch(/secrets\.|NEURON_TOKEN/);
      expect(plan.permissions).toEqual({ contents: "read", "pull-requests": "write" });
      expect(plan.if).toBe("github.event_name == 'pull_request'");
      expect(apply.permissions).toEqual({ contents: "write" });
      expect(apply.if).toBe("github.event_name != 'pull_request' && github.ref == 'refs/heads/main'");
      expect(workflow.on.push.branches).toEqual(["main"]);
      // `pull_request_target` would run a stranger's files with a token that may write.
      expect(Object.keys(workflow.on)).toEqual(["pull_request", "push", "workflow_dispatch"]);
    }
    const gitlab = parseYaml(files[".gitlab-ci.yml"] ?? "") as Readonly<Record<string, unknown>>;
    expect(JSON.stringify(gitlab["cortex-plan"])).not.toContain("NEURON_TOKEN");
    expect(JSON.stringify(gitlab["cortex-apply"])).toContain("CORTEX_NEURON_TOKEN");
  });

  test("below the top of a repository, workflows go where hosts look, and name the fleet's directory and branch", async () => {
    await using directory = await temporaryDirectory();
    await git(directory.path, "init", "--quiet", "--initial-branch=master");
    const result = await initIn(join(directory.path, "infra/fleet"), {
      hosts: ["github"],
      packageSpec: "https://h/c.tgz",
    });
    expect(result.made.map(({ path }) => path)).toContain("../../.github/workflows/cortex.yml");
    // Who is told to run `git init` here makes a repository inside of a repository.
    expect([result.repository_made, result.in_repository]).toEqual([false, true]);
    const files = await filesBelow(directory.path);
    const workflow = parseYaml(files[".github/workflows/cortex.yml"] ?? "") as Workflow;
    expect(workflow.env).toEqual({ CORTEX_PACKAGE: "https://h/c.tgz", CORTEX_CONFIG: "infra/fleet" });
    expect(workflow.on.push.branches).toEqual(["master"]);
    expect(Object.keys(files)).toContain("infra/fleet/.cortex/ci/plan.sh");
  });

  test("a second fleet of a repository is told that no workflow is about it", async () => {
    await using directory = await temporaryDirectory();
    await git(directory.path, "init", "--quiet", "--initial-branch=main");
    const first = await initIn(join(directory.path, "a"), { hosts: ["github"] });
    expect(first.kept).toEqual([]);
    const again = await initIn(join(directory.path, "a"), { hosts: ["github"] });
    expect(again.kept.find(({ path }) => path.endsWith("cortex.yml"))?.reason).toBe("exists");
    const second = await initIn(join(directory.path, "b"), { hosts: ["github"] });
    expect(second.kept.map(({ path }) => path)).toEqual(["../.github/workflows/cortex.yml"]);
    expect(second.kept[0]?.reason).toMatch(/does not name b, so nothing plans/);
  });

  test.each([
    ["the only branch, without a commit", [], "trunk"],
    ["the only branch", [["commit", "--quiet", "--allow-empty", "--message=x"]], "trunk"],
    [
      "one branch of several, which may be somebody's work",
      [
        ["commit", "--quiet", "--allow-empty", "--message=x"],
        ["switch", "--quiet", "--create", "work"],
      ],
      "main",
    ],
  ])("what is applied: %s", async (...row) => {
    const [, commands, branch] = row;
    await using directory = await temporaryDirectory();
    await git(directory.path, "init", "--quiet", "--initial-branch=trunk");
    for (const command of commands) await git(directory.path, ...command);
    await initIn(directory.path, { hosts: ["github"] });
    const text = await readFile(join(directory.path, ".github/workflows/cortex.yml"), "utf8");
    expect((parseYaml(text) as Workflow).on.push.branches).toEqual([branch]);
  });

  test("never writes over a file, adds what is missing, and leaves a fleet that is there alone", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "all.toml"), '[fleet]\nname = "present"\n[[models]]\nid = "m"\n');
    await writeFile(join(directory.path, "README.md"), "mine");
    const first = await initIn(directory.path, { hosts: ["gitlab"] });
    expect(first.kept.map(({ path }) => path)).toEqual(["fleet.toml", "models.toml", "README.md"]);
    const files = await filesBelow(directory.path);
    expect(files["README.md"]).toBe("mine");
    expect(Object.keys(files).filter((path) => path.endsWith(".toml"))).toEqual(["all.toml"]);
    expect(files[".cortex/ci/comment.mjs"]).toContain("cortex-plan:present");
    const second = await initIn(directory.path, { hosts: ["gitlab"] });
    expect([second.made, second.repository_made]).toEqual([[], false]);
    expect(await filesBelow(directory.path)).toEqual(files);
  });

  test("CI is for the host of the remote; without CI there is no script and no word about it", async () => {
    await using directory = await temporaryDirectory();
    await git(directory.path, "init", "--quiet");
    await git(directory.path, "remote", "add", "origin", "git@gitlab.example:ops/fleet.git");
    const result = await initIn(directory.path);
    expect([result.hosts, result.hosts_from, result.repository_made]).toEqual([["gitlab"], "origin", false]);
    const none = join(directory.path, "none");
    await initIn(none, { hosts: [], git: false });
    const files = await filesBelow(none);
    expect(Object.keys(files).toSorted()).toEqual([
      ".cortex/fleet.schema.json",
      ".gitignore",
      "README.md",
      "fleet.toml",
      "models.toml",
    ]);
    expect(files["README.md"]).not.toMatch(/CI|@/);
  });

  test("a directory that cannot be one is an error with a next step", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "file"), "");
    await expect(initIn(join(directory.path, "file"))).rejects.toMatchObject({ code: "usage_error" });
  });

  test.each([
    ["My Fleet!", "my-fleet"],
    ["-a.b_c-", "a-b-c"],
    ["日本", "home"],
    ["x".repeat(80), "x".repeat(63)],
  ])("a directory %s names the fleet %s", (directory, name) => {
    expect(fleetNameFrom(directory)).toBe(name);
  });

  test.each([
    ["git@github.com:o/r.git", "github"],
    ["https://gitlab.example/o/r", "gitlab"],
    ["ssh://git@forgejo.lan:222/o/r", "forgejo"],
    ["https://codeberg.org/o/r", "forgejo"],
    ["https://user@gitea.example/github/r", "gitea"],
    ["https://git.example/o/gitlab", undefined],
    ["", undefined],
  ])("the remote %s speaks of %s", (url, host) => {
    expect(hostOfRemote(url)).toBe(host);
  });
});
