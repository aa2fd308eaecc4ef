import { execFileSync } from "node:child_process";
import {
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
import { CortexError } from "../../src/core/errors.ts";
import { readFleet } from "../../src/repository/io/fleet-source.ts";
import type { FleetText } from "../../src/repository/io/work-tree.ts";

const ENVIRONMENT = {
  ...process.env,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  HOME: "/nonexistent",
};
const environment = { inherited: ENVIRONMENT };

let root = "";

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "cortex-whole-")));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function git(directory: string, ...arguments_: string[]): string {
  const settings = ["user.name=t", "user.email=t@example.org", "protocol.file.allow=always"];
  return execFileSync("git", [...settings.flatMap((setting) => ["-c", setting]), ...arguments_], {
    cwd: join(root, directory),
    env: ENVIRONMENT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}

/** `made` holds a fleet of three files in two directories; `clone` is a copy of it. */
function makeFleet(): void {
  write("made/fleet/cortex.toml", "a = 1");
  write("made/fleet/models/small.toml", "b = 1");
  write("made/fleet/more/large.toml", "c = 1");
  git("made", "init", "--quiet", "--initial-branch=main");
  commitAll("made");
}

function commitAll(directory: string): void {
  git(directory, "add", "--all");
  git(directory, "commit", "--quiet", "--message", "a fleet");
}

const clone = (name = "clone", ...options: string[]): string =>
  git(".", "clone", "--quiet", ...options, "made", name);

const read = (path: string, ref?: string): Promise<FleetText> =>
  readFleet({ path: join(root, path), ref }, environment);

const textsOf = async (path: string, ref?: string): Promise<string[]> =>
  (await read(path, ref)).files.map(({ text }) => text);

async function refusal(path: string, ref?: string): Promise<CortexError> {
  const thrown: unknown = await read(path, ref).catch((error: unknown) => error);
  if (thrown instanceof CortexError) return thrown;
  throw new Error(`${path} was read`, { cause: thrown });
}

const told = (error: CortexError): string => `${error.code}: ${error.message.replaceAll(root, "<root>")}`;

describe("files that git holds and the work tree lacks are named, and nothing is read", () => {
  beforeEach(makeFleet);

  test("a sparse checkout that leaves a file out", async () => {
    clone();
    git("clone", "sparse-checkout", "set", "fleet/models");
    expect(existsSync(join(root, "clone/fleet/cortex.toml"))).toBe(true);
    const error = await refusal("clone/fleet");
    expect(told(error)).toBe(
      "fleet_incomplete: the work tree lacks what git holds of <root>/clone/fleet: fleet/more/large.toml (left out by a sparse checkout)",
    );
    expect(error.next).toContain("git sparse-checkout disable");
    expect(error.details).toEqual({ missing: ["fleet/more/large.toml"] });
    git("clone", "sparse-checkout", "disable");
    expect(await textsOf("clone/fleet")).toEqual(["a = 1", "b = 1", "c = 1"]);
  });

  test("a sparse index says so too", async () => {
    clone();
    git("clone", "sparse-checkout", "set", "--cone", "--sparse-index", "fleet/models");
    expect((await refusal("clone/fleet")).details).toEqual({ missing: ["fleet/more/large.toml"] });
  });

  test("a fleet of which nothing is there, by its directory and by its file", async () => {
    write("made/other/README.md", "no fleet");
    commitAll("made");
    clone();
    git("clone", "sparse-checkout", "set", "other");
    expect((await refusal("clone/fleet")).details["missing"]).toHaveLength(3);
    expect((await refusal("clone/fleet/more/large.toml")).code).toBe("fleet_incomplete");
    expect(told(await refusal("clone/nowhere"))).toBe("fleet_not_found: <root>/clone/nowhere does not exist");
  });

  test("what the fleet is not, may be left out", async () => {
    write("made/other/x.toml", "x = 1");
    write("made/fleet/docs/page.md", "no fleet file");
    write("made/fleet/.hidden/x.toml", "x = 1");
    commitAll("made");
    clone();
    git("clone", "sparse-checkout", "set", "--no-cone", "/fleet/", "!/fleet/docs/", "!/fleet/.hidden/");
    expect(existsSync(join(root, "clone/fleet/docs"))).toBe(false);
    expect(await textsOf("clone/fleet")).toEqual(["a = 1", "b = 1", "c = 1"]);
  });

  test("a directory that a link leads to belongs to the fleet, whether it is there or in part", async () => {
    write("made/common/one.toml", "one = 1");
    write("made/common/deep/two.toml", "two = 1");
    symlinkSync("../common", join(root, "made/fleet/common"));
    commitAll("made");
    clone();
    git("clone", "sparse-checkout", "set", "--no-cone", "/fleet/", "/common/one.toml");
    expect((await refusal("clone/fleet")).details).toEqual({ missing: ["common/deep/two.toml"] });
    git("clone", "sparse-checkout", "set", "--no-cone", "/fleet/");
    expect((await refusal("clone/fleet")).details["missing"]).toHaveLength(2);
  });

  test("a file that is only removed is an edit, and the revision says that it is not the commit", async () => {
    rmSync(join(root, "made/fleet/more/large.toml"));
    const fleet = await read("made/fleet");
    expect([fleet.files.length, fleet.revision.dirty]).toEqual([2, true]);
    git("made", "rm", "--quiet", "fleet/models/small.toml");
    expect((await read("made/fleet")).files.length).toBe(1);
  });

  test("a file that git was told to take as unchanged: missing it is named, present it makes the fleet uncommitted", async () => {
    git("made", "update-index", "--assume-unchanged", "fleet/more/large.toml");
    write("made/fleet/more/large.toml", "c = 2");
    expect(git("made", "status", "--porcelain")).toBe("");
    expect((await read("made/fleet")).revision.dirty).toBe(true);
    rmSync(join(root, "made/fleet/more/large.toml"));
    const error = await refusal("made/fleet");
    expect(error.message).toContain("fleet/more/large.toml (missing, and marked as unchanged)");
    expect(error.next).toContain("--no-assume-unchanged");
  });
});

describe("submodules", () => {
  beforeEach(() => {
    makeFleet();
    write("parts/part.toml", "part = 1");
    git("parts", "init", "--quiet", "--initial-branch=main");
    commitAll("parts");
    git("made", "submodule", "--quiet", "add", join(root, "parts"), "fleet/parts");
    commitAll("made");
  });

  test("one that is not initialised is named; initialised its files count, and its changes are uncommitted", async () => {
    clone();
    const error = await refusal("clone/fleet");
    expect(told(error)).toContain("fleet/parts (a submodule that is not initialised)");
    expect(error.next).toContain("git submodule update --init");
    git("clone", "submodule", "--quiet", "update", "--init");
    const whole = await read("clone/fleet");
    expect([whole.files.length, whole.revision.dirty]).toEqual([4, false]);
    write("clone/fleet/parts/part.toml", "part = 2");
    expect((await read("clone/fleet")).revision.dirty).toBe(true);
  });

  test("named itself", async () => {
    clone();
    expect((await refusal("clone/fleet/parts")).code).toBe("fleet_incomplete");
    expect((await refusal("clone/fleet/parts/more")).code).toBe("fleet_incomplete");
    expect(await textsOf("made/fleet/parts")).toEqual(["part = 1"]);
  });

  test("one that leaves out files of its own", async () => {
    write("parts/deep/x.toml", "x = 1");
    commitAll("parts");
    git("made/fleet/parts", "pull", "--quiet");
    git("made/fleet/parts", "sparse-checkout", "set", "--no-cone", "/part.toml");
    expect((await refusal("made/fleet")).details).toEqual({ missing: ["deep/x.toml"] });
  });

  test("one that was removed by git, or that is hidden, is nobody's loss", async () => {
    git("made", "mv", "fleet/parts", "fleet/.parts");
    commitAll("made");
    clone();
    expect(await textsOf("clone/fleet")).toEqual(["a = 1", "b = 1", "c = 1"]);
    git("made", "rm", "--quiet", "--cached", "fleet/.parts");
    expect(await textsOf("made/fleet")).toHaveLength(3);
  });

  test("a revision does not hold its files, whether or not this clone has them", async () => {
    clone();
    git(".", "clone", "--quiet", "--bare", "made", "bare.git");
    for (const path of ["made/fleet", "clone/fleet", "clone/fleet/parts", "bare.git/fleet"]) {
      expect(told(await refusal(path, "main"))).toMatch(
        /^fleet_incomplete: fleet\/parts at \w{8} is a submodule, and a revision does not hold its files$/,
      );
      expect((await refusal(path, "main")).next).toContain("a directory of its own");
    }
    expect(await textsOf("clone/fleet", "main~1")).toHaveLength(3);
  });
});

describe("a revision", () => {
  test("is the same in a work tree, a sparse one, one without files, and a bare repository", async () => {
    makeFleet();
    clone("sparse");
    git("sparse", "sparse-checkout", "set", "fleet/models");
    clone("empty", "--no-checkout");
    git(".", "clone", "--quiet", "--bare", "made", "bare.git");
    for (const directory of ["made", "sparse", "empty", "bare.git"]) {
      for (const place of ["", "/fleet"]) {
        expect(await textsOf(`${directory}${place}`, "main"), directory).toEqual(["a = 1", "b = 1", "c = 1"]);
      }
      expect(await textsOf(`${directory}/fleet/more`, "main"), directory).toEqual(["c = 1"]);
    }
    const remote = { path: `git+${join(root, "bare.git")}#main:fleet` };
    const inherited = { ...ENVIRONMENT, XDG_DATA_HOME: join(root, "data") };
    expect((await readFleet(remote, { inherited })).files).toHaveLength(3);
  });

  test("of a bare repository has to be named", async () => {
    git(".", "init", "--quiet", "--bare", "bare.git");
    expect(told(await refusal("bare.git", "main"))).toBe(
      "fleet_revision_unknown: the repository of <root>/bare.git has no revision main",
    );
    expect(told(await refusal("bare.git"))).toBe(
      "fleet_not_found: there is no .toml file in <root>/bare.git",
    );
  });
});
