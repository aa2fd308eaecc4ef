import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  saysLocked,
  saysNoRemoteHead,
  saysNoRepository,
  tellingLine,
} from "../../src/repository/git-complaints.ts";
import { parseIndex } from "../../src/repository/parse-index.ts";
import {
  parseCommitId,
  parseFirstParents,
  parseFlag,
  parsePrefix,
} from "../../src/repository/parse-revision.ts";
import { parsePaths, parseStatus } from "../../src/repository/parse-status.ts";
import { parseTree } from "../../src/repository/parse-tree.ts";

/** What real git answered; test/fixtures/git/record.sh asks it again. */
const recorded = (name: string): string =>
  readFileSync(join(import.meta.dirname, "../fixtures/git", `${name}.txt`), "utf8");

describe("a tree", () => {
  test("files, links and submodules, with names that need no quotes after -z", () => {
    expect(parseTree(recorded("tree")).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "file .gitmodules",
      "file .hidden/x.toml",
      "link all",
      "file fleet.toml",
      "link link.toml",
      'file models/a "b".toml',
      "file models/line\nbreak.toml",
      "file models/tab\there.toml",
      "file models/ünter uns/deep.toml",
      "submodule parts",
      "file run.sh",
    ]);
  });

  test("each with its object", () => {
    const [first] = parseTree(recorded("tree"));
    expect(first?.object).toBe("5eea9ca79971f6414419a5339f19631f991282c2");
  });

  test("an empty one is empty", () => expect(parseTree("")).toEqual([]));
});

describe("an index", () => {
  test("what git keeps of the work tree, and which files it does not look at", () => {
    const entries = parseIndex(recorded("index"));
    expect(entries.map(({ path }) => path)).toEqual(parseTree(recorded("tree")).map(({ path }) => path));
    const special = entries.filter(({ kind, trust }) => kind === "submodule" || trust !== "looked-at");
    expect(special.map(({ kind, trust, path }) => `${kind} ${trust} ${path}`)).toEqual([
      "file sparse fleet.toml",
      "file assumed link.toml",
      "submodule looked-at parts",
      "file sparse run.sh",
    ]);
  });

  test("of nothing is empty", () => expect(parseIndex("")).toEqual([]));
});

describe("what changed in a work tree", () => {
  const CHANGED = ['models/a "b".toml', "models/tab\there.toml", "models/ünter uns/new one.toml"];

  test.each(["status", "status-with-renames"])("%s: both names of a rename count", (name) => {
    expect(parseStatus(recorded(name)).toSorted()).toEqual(
      ["fleet.toml", "home.toml", ...CHANGED].toSorted(),
    );
  });

  test("nothing", () => expect(parseStatus("")).toEqual([]));

  test("files that git ignores", () => {
    expect(parsePaths(recorded("ignored"))).toEqual(["models/own.secret.toml"]);
  });
});

describe("revisions", () => {
  test("a commit id, and none in a repository without commits", () => {
    expect(parseCommitId(recorded("commit"))).toBe("460c329c9fc6de13502680102f176dc8879cc8d5");
    expect(parseCommitId(recorded("merge-base"))).toBe("7c68b13ca57e1c6495cbe720f8911ff4a1b45b02");
    expect(parseCommitId(recorded("commit-of-empty"))).toBeUndefined();
  });

  test("a warning before the id is no id, nor is an abbreviation", () => {
    expect(parseCommitId(`warning: refname 'x' is ambiguous.\n${recorded("commit")}`)).toMatch(/^460c/);
    expect(parseCommitId("460c329\n")).toBeUndefined();
  });

  test.each([
    ["prefix-top", ""],
    ["prefix-below", "models/"],
    ["prefix-bare", undefined],
    ["prefix-inside-git", undefined],
  ])("%s", (name, prefix) => {
    expect(parsePrefix(recorded(name))).toBe(prefix);
  });

  test("first parents: of a merge the branch it was made on, of the first commit none", () => {
    expect(parseFirstParents(recorded("log-parents")).map((commit) => commit.slice(0, 4))).toEqual([
      "dd42",
      "6a89",
      "6a89",
      "460c",
    ]);
  });

  test("a shallow clone says so, and its one commit has no parent", () => {
    const [flag = "", ...log] = recorded("shallow").split("\n");
    expect(parseFlag(flag)).toBe(true);
    expect(parseFlag(recorded("shallow-no"))).toBe(false);
    expect(parseFirstParents(log.join("\n"))).toEqual([]);
  });
});

describe("complaints", () => {
  const SAID = [
    "says-no-repository",
    "says-no-remote-head",
    "says-locked",
    "says-no-head",
    "says-no-remote",
    "says-detached",
  ];

  test.each([
    ["no repository", saysNoRepository, "says-no-repository"],
    ["no HEAD at the remote", saysNoRemoteHead, "says-no-remote-head"],
    ["locked", saysLocked, "says-locked"],
  ] as const)("%s is told from all others", (_name, says, expected) => {
    expect(SAID.filter((name) => says(recorded(name)))).toEqual([expected]);
  });

  test("the line that tells most", () => {
    expect(tellingLine(recorded("says-no-remote"))).toBe(
      "'/srv/nowhere' does not appear to be a git repository",
    );
    expect(tellingLine("ssh: connect to host x port 22: refused\nfatal: Could not read\n")).toBe(
      "ssh: connect to host x port 22: refused",
    );
    expect(tellingLine("nothing of the kind\nat all")).toBe("nothing of the kind");
  });
});
