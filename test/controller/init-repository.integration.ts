import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { CI_HOSTS, fleetNameFrom, hostOfRemote } from "../../src/controller/init-files.ts";
import { initRepository } from "../../src/controller/io/init-repository.ts";
import { loadFleet } from "../../src/controller/io/load-fleet.ts";
import { fleetJsonSchemaText } from "../../src/fleet/fleet-json-schema.ts";
import { git, temporaryDirectory } from "../support/fleet-on-disk.ts";

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
    const commands = await readdir(join(import.meta.dirname, "../../src/commands"));
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

interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string };
}

const OURS = { login: "github-actions[bot]" };
const STRANGER = { login: "stranger" };

interface HostOptions {
  readonly refuse?: boolean;
  /** The longest page that the host gives, whatever is asked for; 0: it has no pages. */
  readonly page?: number;
  /** Whom the token is of; absent: the host does not say, as with the token of a job. */
  readonly self?: Readonly<Record<string, string>>;
}

/** A code host's comments over real HTTP: GitHub's shape, Gitea's, or GitLab's. */
async function startHost(comments: Comment[], options: HostOptions = {}) {
  const calls: string[] = [];
  const tokens = new Set<unknown>();
  const server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => response.writeHead(status).end(JSON.stringify(body)));
  });
  const read = (url: URL): { status: number; body: unknown } => {
    if (url.pathname === "/user") {
      return options.self === undefined ? { status: 403, body: {} } : { status: 200, body: options.self };
    }
    const size = options.page ?? 100;
    const page = Number(url.searchParams.get("page"));
    return { status: 200, body: size === 0 ? comments : comments.slice((page - 1) * size, page * size) };
  };
  const write = (method: string | undefined, url: URL, sent: { readonly body: string }) => {
    if (options.refuse === true) return { status: 403, body: {} };
    if (method === "POST") {
      const { username, login = username ?? OURS.login } = options.self ?? {};
      comments.push({ id: comments.length + 1, user: { login }, ...sent });
      return { status: 201, body: {} };
    }
    const comment = comments.find(({ id }) => id === Number(url.pathname.split("/").at(-1)));
    if (comment === undefined) return { status: 404, body: {} };
    comment.body = sent.body;
    return { status: 200, body: {} };
  };
  const answer = async (request: IncomingMessage): Promise<{ status: number; body: unknown }> => {
    const url = new URL(request.url ?? "", "http://host");
    calls.push(`${request.method ?? ""} ${url.pathname}`);
    tokens.add(request.headers.authorization ?? request.headers["private-token"]);
    let text = "";
    for await (const chunk of request) text += String(chunk);
    return text === "" ? read(url) : write(request.method, url, JSON.parse(text) as { body: string });
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const dispose = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { url: `http://127.0.0.1:${port}`, calls, tokens, [Symbol.asyncDispose]: dispose };
}

async function comment(
  directory: string,
  variables: Readonly<Record<string, string>>,
  plan: string | undefined,
) {
  await initIn(directory, { hosts: ["github"], fleetName: "home" });
  if (plan !== undefined) await writeFile(join(directory, "plan.md"), plan);
  const event = join(directory, "event.json");
  await writeFile(event, JSON.stringify({ pull_request: { number: 7 } }));
  const { stdout } = await run(process.execPath, [".cortex/ci/comment.mjs", "plan.md"], {
    cwd: directory,
    env: { PATH: process.env["PATH"], GITHUB_EVENT_PATH: event, CORTEX_CI_TOKEN: "s3cret", ...variables },
  });
  return stdout;
}

const actions = (url: string) => ({ GITHUB_API_URL: url, GITHUB_REPOSITORY: "o/r" });

describe("the plan's comment in CI", () => {
  const PLAN = "<!-- cortex-plan:home -->\n### cortex plan: 1 to load\n";

  test.each([
    ["pages as long as asked for", 100],
    ["pages of its own length", 50],
    ["no pages", 0],
  ])("is made once and changed from then on, where the host has %s", async (_host, page) => {
    await using directory = await temporaryDirectory();
    const comments = Array.from({ length: 250 }, (_, index): Comment => ({
      id: index + 1,
      body: "hi",
      user: STRANGER,
    }));
    await using host = await startHost(comments, { page });
    const summary = join(directory.path, "summary.md");
    const variables = { ...actions(host.url), GITHUB_STEP_SUMMARY: summary };
    expect(await comment(directory.path, variables, PLAN)).toBe("The plan's comment was made.\n");
    expect(await comment(directory.path, variables, PLAN.replace("1", "2"))).toBe(
      "The plan's comment was updated.\n",
    );
    expect(await comment(directory.path, variables, PLAN.replace("1", "2"))).toBe(
      "The plan's comment is up to date.\n",
    );
    expect(comments.slice(250)).toEqual([{ id: 251, body: PLAN.replace("1", "2").trim(), user: OURS }]);
    expect(host.calls).toContain("PATCH /repos/o/r/issues/comments/251");
    expect([...host.tokens]).toEqual(["token s3cret"]);
    expect(await readFile(summary, "utf8")).toContain("1 to load");
  });

  test("without a plan it says so, in the same comment: an old verdict never stays", async () => {
    await using directory = await temporaryDirectory();
    const comments: Comment[] = [{ id: 1, body: PLAN, user: OURS }];
    await using host = await startHost(comments);
    await comment(directory.path, actions(host.url), undefined);
    expect(comments).toHaveLength(1);
    expect(comments[0]?.body).toContain("cortex plan: none");
  });

  test("on GitLab it is a note of the merge request", async () => {
    await using directory = await temporaryDirectory();
    const comments: Comment[] = [];
    await using host = await startHost(comments, { self: { username: "project_5_bot" } });
    const variables = {
      GITLAB_CI: "true",
      CI_API_V4_URL: host.url,
      CI_PROJECT_ID: "6",
      CI_MERGE_REQUEST_PROJECT_ID: "5",
      CI_MERGE_REQUEST_IID: "3",
    };
    await comment(directory.path, variables, PLAN);
    await comment(directory.path, variables, `${PLAN}more\n`);
    expect(host.calls).toContain("PUT /projects/5/merge_requests/3/notes/1");
    expect(comments).toHaveLength(1);
    expect([...host.tokens]).toEqual(["s3cret"]);
  });

  test.each([
    ["a job's own token", undefined],
    ["a token of a person", { login: "operator" }],
  ])(
    "with %s, a stranger's comment with the mark is left alone, and ours is made beside it",
    async (_token, self) => {
      await using directory = await temporaryDirectory();
      const comments: Comment[] = [{ id: 1, body: PLAN, user: STRANGER }];
      await using host = await startHost(comments, self === undefined ? {} : { self });
      await comment(directory.path, actions(host.url), `${PLAN}ours\n`);
      await comment(directory.path, actions(host.url), `${PLAN}newer\n`);
      expect(comments.map(({ body }) => body)).toEqual([PLAN, `${PLAN}newer`]);
    },
  );

  test("where it may not be written the plan is in the log, and the job goes on", async () => {
    await using directory = await temporaryDirectory();
    await using host = await startHost([], { refuse: true });
    const refused = await comment(directory.path, actions(host.url), PLAN);
    expect(refused).toMatch(
      /^No comment was written: the host answers 403\. The plan:\n\n<!-- cortex-plan:home -->/,
    );
    const without = await comment(directory.path, { ...actions(host.url), CORTEX_CI_TOKEN: "" }, PLAN);
    expect(without).toMatch(/^No comment was written: CORTEX_CI_TOKEN is not set/);
  });

  test("a plan beyond the host's limit is cut at a line", async () => {
    await using directory = await temporaryDirectory();
    const comments: Comment[] = [];
    await using host = await startHost(comments);
    await comment(directory.path, actions(host.url), `${PLAN}${"a row of the plan\n".repeat(5000)}`);
    expect(comments[0]?.body.length).toBeLessThan(60_100);
    expect(comments[0]?.body).toMatch(/a row of the plan\n\n\.\.\. the rest is in the job's log\.$/);
  });
});
