import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { initRepository } from "../../../src/controller/adopt/io/init-repository.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";

/** What CI jobs of a fleet repository say to their host, over real HTTP. */
const run = promisify(execFile);
const environment = { inherited: { PATH: process.env["PATH"], HOME: "/nonexistent" } };

const initIn = (
  directory: string,
  options: Pick<Parameters<typeof initRepository>[0], "hosts" | "fleetName">,
) => initRepository({ directory, git: true, ...options }, environment);

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

test("GitLab's job takes the last apply's snapshot with its own token, and goes on without one", async () => {
  await using directory = await temporaryDirectory();
  await initIn(directory.path, { hosts: ["gitlab"] });
  const text = await readFile(join(directory.path, ".gitlab-ci.yml"), "utf8");
  const job = (parseYaml(text) as { "cortex-plan": { script: readonly string[] } })["cortex-plan"];
  const line = job.script.find((each) => each.startsWith("curl ")) ?? "";
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url ?? ""} ${String(request.headers["job-token"])}`);
    const isThere = (request.url ?? "").includes("/projects/5/");
    response.writeHead(isThere ? 200 : 404).end(isThere ? "{}" : "no artifact");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const snapshot = join(directory.path, "snapshot.json");
  const fetched = async (project: string): Promise<string | undefined> => {
    const env = {
      PATH: process.env["PATH"],
      CORTEX_SNAPSHOT: snapshot,
      CI_JOB_TOKEN: "job",
      CI_API_V4_URL: `http://127.0.0.1:${port}`,
      CI_MERGE_REQUEST_PROJECT_ID: project,
      CI_DEFAULT_BRANCH: "main",
    };
    await run("bash", ["-e", "-c", line], { env });
    return readFile(snapshot, "utf8").catch(() => undefined);
  };
  try {
    expect(await fetched("5")).toBe("{}");
    expect(await fetched("6")).toBeUndefined();
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  const below = "jobs/artifacts/main/raw/snapshot.json?job=cortex-apply job";
  expect(asked).toEqual([`/projects/5/${below}`, `/projects/6/${below}`]);
});

test("two fleets of one repository keep a snapshot each", async () => {
  await using directory = await temporaryDirectory();
  const clone = join(directory.path, "clone");
  const git = (...words: string[]) =>
    run("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...words], { cwd: directory.path });
  await git("init", "--quiet", "--bare", "origin.git");
  await git("clone", "--quiet", "origin.git", "clone");
  const inClone = (...words: string[]) => git("-C", clone, ...words);
  const script = fileURLToPath(new URL("../../../assets/init/publish-snapshot.sh", import.meta.url));
  await inClone("commit", "--quiet", "--allow-empty", "--message", "first");
  for (const fleet of ["office", "home"]) {
    await writeFile(join(clone, "snapshot.json"), JSON.stringify({ fleet }));
    await run("sh", [script], { cwd: clone });
  }
  await inClone("fetch", "--quiet");
  for (const fleet of ["office", "home"]) {
    const { stdout } = await inClone("show", `origin/cortex-snapshot-${fleet}:snapshot.json`);
    expect(JSON.parse(stdout)).toEqual({ fleet });
  }
  await initIn(clone, { hosts: ["github"], fleetName: "home" });
  const workflow = await readFile(join(clone, ".github/workflows/cortex.yml"), "utf8");
  // Two workflows of one repository must not cancel each other.
  expect(workflow).toContain("group: cortex-apply-.\n");
  expect(workflow).toContain("group: cortex-plan-.-$");
});
