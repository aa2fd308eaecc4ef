import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readFleet } from "../../src/repository/io/fleet-source.ts";
import type { FleetText } from "../../src/repository/io/work-tree.ts";
import { loadFleet } from "../../src/repository/io/load-fleet.ts";
import { CortexError } from "../../src/core/errors.ts";

const ENVIRONMENT = {
  ...process.env,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  HOME: "/nonexistent",
};
const environment = { inherited: ENVIRONMENT };

let root = "";

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "cortex-fleet-")));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const git = (...arguments_: string[]): string =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...arguments_], {
    cwd: root,
    env: ENVIRONMENT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();

function commit(message: string): string {
  git("add", "--all");
  git("commit", "--quiet", "--message", message);
  return git("rev-parse", "HEAD");
}

const filesOf = ({ files }: FleetText): string[] => files.map(({ path }) => path.replace(`${root}/`, ""));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown instanceof CortexError
    ? `${thrown.code}: ${thrown.message.replaceAll(root, "<root>")}`
    : String(thrown);
}

describe("outside of git", () => {
  test("every .toml below the directory counts, hidden ones aside, in the order of their paths", async () => {
    write("models/b.toml", "# b");
    write("models/a.toml", "# a");
    write("fleet.toml", "# fleet");
    write("README.md", "no");
    write(".cortex/state.toml", "no");
    write(".hidden.toml", "no");
    const fleet = await readFleet({ path: root }, environment);
    expect(filesOf(fleet)).toEqual(["fleet.toml", "models/a.toml", "models/b.toml"]);
    expect(fleet.files[1]?.text).toBe("# a");
    expect(fleet.revision).toEqual({ commit: null, dirty: false, path: root });
  });

  test("one file is a fleet too, and linked files are followed", async () => {
    write("elsewhere/real.toml", "# real");
    mkdirSync(join(root, "fleet"));
    symlinkSync("../elsewhere/real.toml", join(root, "fleet/link.toml"));
    expect(filesOf(await readFleet({ path: join(root, "elsewhere/real.toml") }, environment))).toEqual([
      "elsewhere/real.toml",
    ]);
    expect(filesOf(await readFleet({ path: join(root, "fleet") }, environment))).toEqual(["fleet/link.toml"]);
  });

  test("a directory that links to itself ends in an error, not in a loop", async () => {
    write("fleet/fleet.toml", "");
    symlinkSync(".", join(root, "fleet/again"));
    expect(await codeOf(readFleet({ path: join(root, "fleet") }, environment))).toContain(
      "fleet_not_found: ",
    );
  });

  test("what cannot be looked into is an error with its path, never a gap", async () => {
    write("fleet/fleet.toml", "a = 1\n");
    symlinkSync("loop.toml", join(root, "fleet/loop.toml"));
    await expect(readFleet({ path: join(root, "fleet") }, environment)).rejects.toThrow(
      /loop\.toml cannot be read: ELOOP/,
    );
  });

  test("a pipe is named and not waited for, whether it is among the files or the fleet itself", async () => {
    write("fleet/fleet.toml", "");
    execFileSync("mkfifo", [join(root, "fleet/events.toml")]);
    expect(await codeOf(readFleet({ path: join(root, "fleet") }, environment))).toBe(
      "fleet_not_found: <root>/fleet/events.toml is neither a file nor a directory",
    );
    expect(await codeOf(readFleet({ path: join(root, "fleet/events.toml") }, environment))).toBe(
      "fleet_not_found: <root>/fleet/events.toml is neither a file nor a directory",
    );
  });

  test("an ending in capitals is not passed over without a word", async () => {
    write("fleet/fleet.toml", "");
    write("fleet/Models.TOML", "");
    const fleet = await readFleet({ path: join(root, "fleet") }, environment);
    expect(filesOf(fleet)).toEqual(["fleet/Models.TOML", "fleet/fleet.toml"]);
  });

  test("what is missing, empty or without revisions says so", async () => {
    write("empty/README.md", "");
    write("fleet.toml", "");
    expect(await codeOf(readFleet({ path: join(root, "nowhere") }, environment))).toBe(
      "fleet_not_found: <root>/nowhere does not exist",
    );
    expect(await codeOf(readFleet({ path: join(root, "empty") }, environment))).toBe(
      "fleet_not_found: there is no .toml file in <root>/empty",
    );
    expect(await codeOf(readFleet({ path: root, ref: "main" }, environment))).toContain(
      "fleet_revision_unknown: <root> is not in a git repository",
    );
  });
});

describe("in a git work tree", () => {
  beforeEach(() => {
    git("init", "--quiet", "--initial-branch=main");
  });

  test("the revision is HEAD, and dirty tells whether its own files differ from it", async () => {
    write("fleet/fleet.toml", "one");
    write("other/x.toml", "x");
    const head = commit("first");
    const revision = async () => (await readFleet({ path: join(root, "fleet") }, environment)).revision;
    expect(await revision()).toMatchObject({ commit: head, dirty: false, path: join(root, "fleet") });
    write("other/x.toml", "changed outside of the fleet");
    write("fleet/README.md", "not a fleet file");
    expect((await revision()).dirty).toBe(false);
    write("fleet/new with space.toml", "untracked");
    expect((await revision()).dirty).toBe(true);
    rmSync(join(root, "fleet/new with space.toml"));
    write("fleet/fleet.toml", "two");
    expect((await revision()).dirty).toBe(true);
  });

  test("a repository without a commit has no revision yet", async () => {
    write("fleet.toml", "one");
    expect((await readFleet({ path: root }, environment)).revision).toEqual({
      commit: null,
      dirty: true,
      path: root,
    });
    await expect(readFleet({ path: root, ref: "HEAD" }, environment)).rejects.toMatchObject({
      code: "fleet_revision_unknown",
      next: expect.stringContaining("git commit") as string,
    });
  });

  test("another revision is read from git's objects; the work tree stays as it is", async () => {
    write("fleet/fleet.toml", "one");
    write("fleet/models/ü m.toml", "m");
    write("fleet/.hidden/x.toml", "no");
    symlinkSync("fleet.toml", join(root, "fleet/link.toml"));
    const first = commit("first");
    git("tag", "v1");
    rmSync(join(root, "fleet"), { recursive: true });
    write("kept.toml", "kept");
    commit("second");
    for (const ref of ["v1", "HEAD~1", first.slice(0, 8), "main~1"]) {
      const fleet = await readFleet({ path: join(root, "fleet"), ref }, environment);
      expect(fleet.files.map(({ text }) => text)).toEqual(["one", "one", "m"]);
      expect(filesOf(fleet)).toEqual(["fleet/fleet.toml", "fleet/link.toml", "fleet/models/ü m.toml"]);
      expect(fleet.revision).toMatchObject({ commit: first, dirty: false, path: join(root, "fleet") });
    }
    const single = await readFleet({ path: join(root, "fleet/fleet.toml"), ref: "v1" }, environment);
    expect(single.files).toEqual([{ path: join(root, "fleet/fleet.toml"), text: "one" }]);
    expect(existsSync(join(root, "fleet"))).toBe(false);
    expect(git("status", "--porcelain")).toBe("");
  });

  test("a revision's links are followed inside the commit; one that leads elsewhere is an error, never a gap", async () => {
    write("shared/models.toml", "shared");
    write("docs/read.md", "no fleet");
    mkdirSync(join(root, "fleet"));
    symlinkSync("../shared/models.toml", join(root, "fleet/models.toml"));
    symlinkSync("../docs", join(root, "fleet/docs"));
    write("common/models.toml", "common");
    symlinkSync("../common", join(root, "fleet/common"));
    commit("links");
    const atHead = () => readFleet({ path: join(root, "fleet"), ref: "HEAD" }, environment);
    const { files } = await atHead();
    expect(files).toEqual([
      { path: join(root, "fleet/common/models.toml"), text: "common" },
      { path: join(root, "fleet/models.toml"), text: "shared" },
    ]);
    expect(files).toEqual((await readFleet({ path: join(root, "fleet") }, environment)).files);
    for (const [name, target] of [
      ["outside.toml", "/etc/hostname"],
      ["outside.toml", "../../elsewhere.toml"],
      ["dangling.toml", "nowhere.toml"],
      ["again.toml", "again.toml"],
    ] as const) {
      symlinkSync(target, join(root, "fleet", name));
      commit(name);
      expect(await codeOf(atHead())).toMatch(
        new RegExp(`^fleet_incomplete: fleet/${name} at \\w{8} is a link to`),
      );
      rmSync(join(root, "fleet", name));
    }
  });

  test("a link to nothing in the work tree is an error, never a gap", async () => {
    write("fleet.toml", "one");
    symlinkSync("nowhere.toml", join(root, "dangling.toml"));
    expect(await codeOf(readFleet({ path: root }, environment))).toBe(
      "fleet_not_found: <root>/dangling.toml is a link to nothing, or was removed just now",
    );
  });

  test.each(["nosuch", "--output=pwned", "-h", "HEAD:fleet.toml", ""])(
    "ref %j is no revision",
    async (ref) => {
      write("fleet.toml", "one");
      commit("first");
      expect(await codeOf(readFleet({ path: root, ref }, environment))).toBe(
        `fleet_revision_unknown: the repository of <root> has no revision ${ref}`,
      );
      expect(existsSync(join(root, "pwned"))).toBe(false);
    },
  );

  test("a file that git ignores is part of the fleet, and the commit does not hold it", async () => {
    write("fleet/fleet.toml", "a = 1\n");
    write(".gitignore", "local.*\n");
    commit("a fleet");
    write("fleet/local.toml", "b = 1\n");
    write("fleet/.hidden/local.toml", "b = 1\n");
    const fleet = await readFleet({ path: join(root, "fleet") }, environment);
    expect([filesOf(fleet), fleet.revision.dirty]).toEqual([["fleet/fleet.toml", "fleet/local.toml"], true]);
    const one = await readFleet({ path: join(root, "fleet/fleet.toml") }, environment);
    expect(one.revision.dirty).toBe(false);
    rmSync(join(root, "fleet/local.toml"));
    expect((await readFleet({ path: join(root, "fleet") }, environment)).revision.dirty).toBe(false);
  });

  test("what is named counts in a revision as in the work tree, hidden or of another ending", async () => {
    write(".fleet/fleet.toml", "a = 1\n");
    write(".fleet/.more/x.toml", "a = 1\n");
    write("fleet.conf", "a = 1\n");
    commit("fleets");
    for (const [path, files] of [
      [".fleet", [".fleet/fleet.toml"]],
      ["fleet.conf", ["fleet.conf"]],
    ] as const) {
      for (const ref of [undefined, "HEAD"]) {
        expect(filesOf(await readFleet({ path: join(root, path), ref }, environment))).toEqual(files);
      }
    }
  });

  test("nothing that the repository's own configuration names is run", async () => {
    write("fleet.toml", "one");
    commit("first");
    write("tools/trap", `#!/bin/sh\ntouch ${join(root, "sprung")}\n`);
    chmodSync(join(root, "tools/trap"), 0o755);
    git("config", "core.fsmonitor", join(root, "tools/trap"));
    git("config", "core.hooksPath", join(root, "tools"));
    write("fleet.toml", "two");
    expect((await readFleet({ path: root }, environment)).revision.dirty).toBe(true);
    expect(existsSync(join(root, "sprung"))).toBe(false);
    // The trap is a real one: git springs it when nobody stops it.
    git("status");
    expect(existsSync(join(root, "sprung"))).toBe(true);
  });
});

const FLEET =
  '[fleet]\nname = "home"\n[[neurons]]\nname = "a"\nendpoint = "http://a:1"\n[[models]]\nid = "m"\n';

describe("loading a fleet", () => {
  test("gives the fleet, its revision and its digest", async () => {
    write("fleet.toml", FLEET);
    const loaded = await loadFleet({
      path: root,
      inherited: ENVIRONMENT,
      environmentOverrides: { CORTEX_FLEET__NAME: "away" },
    });
    expect(loaded.fleet.fleet.name).toBe("away");
    expect(loaded.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(loaded.revision.commit).toBeNull();
  });

  test("a broken fleet throws all of its findings", async () => {
    write("a.toml", FLEET.replace("[[models]]", "[[models"));
    write("b.toml", "x = 1\n");
    const thrown = await loadFleet({ path: root, inherited: ENVIRONMENT }).catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      code: "fleet_invalid",
      message: `${root} has 2 errors`,
      details: {
        diagnostics: [
          { code: "CTX101", file: join(root, "a.toml") },
          { code: "CTX102", file: join(root, "b.toml") },
        ],
      },
    });
  });
});
