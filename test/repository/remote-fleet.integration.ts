import { createServer } from "node:http";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadFleet, loadFleetAndBase } from "../../src/repository/io/load-fleet.ts";
import { CortexError } from "../../src/core/errors.ts";
import { git, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

const fleetText = (replicas: number) =>
  `[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "http://a:1"\n[[models]]\nid = "m"\nreplicas = ${replicas}\n`;

/** A repository with a fleet in `fleet/`: one commit on main, a tag on it, one more on `more`. */
async function remoteFleet() {
  const directory = await temporaryDirectory();
  const repository = join(directory.path, "remote");
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(repository, path)), { recursive: true });
    await writeFile(join(repository, path), text);
  };
  const commit = async (message: string) => {
    await git(repository, "add", "--all");
    await git(repository, "commit", "--quiet", "--message", message);
    return git(repository, "rev-parse", "HEAD");
  };
  await write("fleet/fleet.toml", fleetText(0));
  await git(repository, "init", "--quiet", "--initial-branch=main");
  const first = await commit("first");
  await git(repository, "tag", "v1");
  await git(repository, "switch", "--quiet", "--create", "more");
  await write("fleet/fleet.toml", fleetText(1));
  const second = await commit("second");
  await git(repository, "switch", "--quiet", "main");
  /** One more commit on a branch; main stays checked out. */
  const advance = async (branch: string) => {
    await git(repository, "switch", "--quiet", branch);
    await write("fleet/remark.toml", `# ${branch}\n`);
    const made = await commit(`more on ${branch}`);
    await git(repository, "switch", "--quiet", "main");
    return made;
  };
  const data = join(directory.path, "data");
  const load = (path: string, options: { readonly ref?: string } = {}) =>
    loadFleet({
      path,
      ...options,
      inherited: { PATH: process.env["PATH"], HOME: "/nonexistent", CORTEX_DATA_DIR: data },
    });
  const dispose = () => directory[Symbol.asyncDispose]();
  return {
    repository,
    url: `git+file://${repository}`,
    data,
    write,
    commit,
    advance,
    load,
    first,
    second,
    [Symbol.asyncDispose]: dispose,
  };
}

async function failureOf(promise: Promise<unknown>): Promise<CortexError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof CortexError)) throw new Error(`no CortexError: ${String(thrown)}`);
  return thrown;
}

describe("a fleet in a remote repository", () => {
  test("branch, tag, commit and expressions over them name the revision; --ref wins over the fragment", async () => {
    await using remote = await remoteFleet();
    const { url, first, second } = remote;
    for (const [path, ref, commit] of [
      [`${url}#main:fleet`, undefined, first],
      [`${url}#:fleet`, undefined, first],
      [`${url}#more:fleet`, undefined, second],
      [`${url}#more`, undefined, second],
      [`${url}#more~1:fleet`, undefined, first],
      [`${url}#v1:fleet/fleet.toml`, undefined, first],
      [`${url}#${second}:/fleet/`, undefined, second],
      [`${url}#main:fleet`, "more", second],
    ] as const) {
      const { revision, fleet } = await remote.load(path, ref === undefined ? {} : { ref });
      expect(revision).toMatchObject({ commit, dirty: false, path });
      expect(fleet.models[0]?.replicas).toBe(commit === first ? 0 : 1);
    }
  });

  test("each look asks the remote: a new commit is seen, a removed branch is gone", async () => {
    await using remote = await remoteFleet();
    await remote.load(`${remote.url}#more:fleet`);
    await remote.write("fleet/fleet.toml", fleetText(1));
    const third = await remote.commit("third");
    expect((await remote.load(`${remote.url}#:fleet`)).revision.commit).toBe(third);
    await git(remote.repository, "branch", "--delete", "--force", "more");
    const failure = await failureOf(remote.load(`${remote.url}#more:fleet`));
    expect(failure.code).toBe("fleet_revision_unknown");
    expect(failure.message).toBe(`file://${remote.repository} has no revision more`);
    await rm(remote.repository, { recursive: true });
    expect((await failureOf(remote.load(`${remote.url}#main:fleet`))).code).toBe("fleet_unreachable");
  });

  test("several looks at once do not trip over each other", async () => {
    await using remote = await remoteFleet();
    const path = `${remote.url}#more:fleet`;
    const looks = async () => {
      const loaded = await Promise.all(Array.from({ length: 6 }, () => remote.load(path)));
      return [...new Set(loaded.map(({ revision }) => revision.commit))];
    };
    expect(await looks()).toEqual([remote.second]);
    const next = await remote.advance("more");
    expect(await looks()).toEqual([next]);
  });

  test("a HEAD that names no branch of the repository troubles only those who name none either", async () => {
    await using remote = await remoteFleet();
    await remote.load(`${remote.url}#:fleet`);
    await git(remote.repository, "symbolic-ref", "HEAD", "refs/heads/master");
    expect((await remote.load(`${remote.url}#main:fleet`)).revision.commit).toBe(remote.first);
    const failure = await failureOf(remote.load(`${remote.url}#:fleet`));
    expect([failure.code, failure.message]).toEqual([
      "fleet_revision_unknown",
      expect.stringContaining("has no default branch"),
    ]);
  });

  test("a per cent sign in a password means itself", async () => {
    await using remote = await remoteFleet();
    const failure = await failureOf(remote.load("git+http://user:p%ss@127.0.0.1:1/x.git"));
    expect(failure.code).toBe("fleet_unreachable");
    expect(failure.message).not.toContain("p%ss");
  });

  test("a directory without a fleet says so by the name that was given", async () => {
    await using remote = await remoteFleet();
    const failure = await failureOf(remote.load(`${remote.url}#main:nowhere`));
    expect(failure.message).toBe(
      `there is no .toml file in ${remote.url}#main:nowhere at ${remote.first.slice(0, 8)}`,
    );
  });

  test.each([
    "git+ext::sh -c whoami",
    "git+--upload-pack=touch",
    "git+https://",
    "git+ssh://-oProxyCommand=x/y",
    "git+https://host/x.git#main:../up",
    "git+",
  ])("%s is refused before git runs", async (path) => {
    const failure = await failureOf(loadFleet({ path, inherited: {} }));
    expect(failure.code).toBe("usage_error");
  });
});

test("a password in the URL reaches the server and nothing else: no message, no file, no plan", async () => {
  await using directory = await temporaryDirectory();
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(403).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const failure = await failureOf(
    loadFleet({
      path: `git+http://ci:hunter2%21@127.0.0.1:${port}/fleet.git#main`,
      inherited: { PATH: process.env["PATH"], HOME: "/nonexistent", CORTEX_DATA_DIR: directory.path },
    }),
  );
  server.close();
  expect(failure.code).toBe("fleet_unreachable");
  expect(seen).toContain(`Basic ${Buffer.from("ci:hunter2!").toString("base64")}`);
  expect(JSON.stringify([failure.message, failure.details, failure.next])).not.toMatch(/hunter2|ci:/);
  const kept = await readdir(directory.path, { recursive: true, withFileTypes: true });
  for (const entry of kept.filter((item) => item.isFile())) {
    expect(await readFile(join(entry.parentPath, entry.name), "utf8")).not.toContain("hunter2");
  }
});

describe("a fleet and its base", () => {
  test("the base is where the branch left it, whatever happened there since", async () => {
    await using remote = await remoteFleet();
    const { repository } = remote;
    await remote.write("fleet/other.toml", '[[models]]\nid = "n"\n');
    await remote.commit("main moves on");
    await git(repository, "switch", "--quiet", "more");
    const options = { base: "main", inherited: { PATH: process.env["PATH"], CORTEX_DATA_DIR: remote.data } };
    for (const location of [
      { path: join(repository, "fleet") },
      { path: join(repository, "fleet"), ref: "more" },
      { path: `${remote.url}#more:fleet` },
    ]) {
      const { head, base } = await loadFleetAndBase({ ...options, ...location });
      expect([head.revision.commit, base?.revision.commit]).toEqual([remote.second, remote.first]);
      expect([head.fleet.models[0]?.replicas, base?.fleet.models[0]?.replicas]).toEqual([1, 0]);
    }
  });

  test("uncommitted edits belong to the head; the work tree stays as it is", async () => {
    await using remote = await remoteFleet();
    await remote.write("fleet/fleet.toml", fleetText(1));
    const { head, base } = await loadFleetAndBase({
      path: join(remote.repository, "fleet"),
      base: "HEAD",
      inherited: { PATH: process.env["PATH"] },
    });
    expect(head.revision).toMatchObject({ commit: remote.first, dirty: true });
    expect([head.fleet.models[0]?.replicas, base?.fleet.models[0]?.replicas]).toEqual([1, 0]);
    expect(await git(remote.repository, "status", "--porcelain")).toBe("M fleet/fleet.toml");
  });

  test("a fleet that did not exist at the base has none; a revision that does not exist is an error", async () => {
    await using remote = await remoteFleet();
    await remote.write("new/fleet.toml", fleetText(1));
    await remote.commit("a new fleet");
    const options = { path: join(remote.repository, "new"), inherited: { PATH: process.env["PATH"] } };
    expect((await loadFleetAndBase({ ...options, base: "v1" })).base).toBeUndefined();
    expect((await failureOf(loadFleetAndBase({ ...options, base: "nosuch" }))).code).toBe(
      "fleet_revision_unknown",
    );
  });
});
