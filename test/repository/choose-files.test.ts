import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { chooseFiles, type Choice } from "../../src/repository/choose-files.ts";
import { touchesFleet } from "../../src/repository/fleet-paths.ts";
import { parseTree, type TreeFile } from "../../src/repository/parse-tree.ts";

/** Links by their paths; everything else is a file. */
const treeOf = (paths: readonly string[], links: Readonly<Record<string, string>> = {}): TreeFile[] => [
  ...paths.map((path): TreeFile => ({ path, object: `object of ${path}`, kind: "file" })),
  ...Object.keys(links).map((path): TreeFile => ({ path, object: `link ${path}`, kind: "link" })),
];

const targetsOf = (links: Readonly<Record<string, string>>): Map<string, string> =>
  new Map(Object.entries(links).map(([path, target]) => [`link ${path}`, target]));

const shown = (choice: Choice): string =>
  choice.kind === "file"
    ? `${choice.inside} = ${choice.object.replace("object of ", "")}`
    : `${choice.kind} ${choice.path}`;

function chosen(
  paths: readonly string[],
  links: Readonly<Record<string, string>>,
  pathInTree = "",
): string[] {
  const { choices, unread } = chooseFiles(treeOf(paths, links), pathInTree, targetsOf(links));
  expect(unread).toEqual([]);
  return choices.map(shown);
}

describe("the fleet files of a commit", () => {
  test("every .toml below the directory, hidden ones aside, in the order of their paths", () => {
    const paths = ["fleet/b.toml", "fleet/a/x.toml", "fleet/.c.toml", "fleet/a.md", "other.toml"];
    expect(chosen(paths, {}, "fleet")).toEqual(["a/x.toml = fleet/a/x.toml", "b.toml = fleet/b.toml"]);
  });

  test("a file that is named counts whatever its name, and only it", () => {
    expect(chosen(["fleet.txt", "fleet.txt.toml"], {}, "fleet.txt")).toEqual([" = fleet.txt"]);
  });

  test("a link is followed, link by link, as it would be in a work tree", () => {
    const links = { "fleet/one.toml": "two.toml", "fleet/two.toml": "../shared/./three.toml" };
    expect(chosen(["shared/three.toml"], links, "fleet")).toEqual([
      "one.toml = shared/three.toml",
      "two.toml = shared/three.toml",
    ]);
  });

  test.each([
    ["leads to nothing", { "a.toml": "gone.toml" }, "lost-link a.toml"],
    ["leads out of the repository", { "a.toml": "../fleet.toml" }, "lost-link a.toml"],
    ["is absolute", { "a.toml": "/etc/fleet.toml" }, "lost-link a.toml"],
    ["leads to itself", { "a.toml": "a.toml" }, "lost-link a.toml"],
    [
      "leads to the directory around it, again and again",
      { again: "." },
      "lost-link again/again/again/again/again/again/again/again/again",
    ],
  ])("a link that %s is lost", (_name, links, expected) => {
    expect(chosen(["models/m.toml"], links)).toContain(expected);
  });

  test("a link to a directory is followed as well, and links below it start from where they are", () => {
    const links = { "fleet/common": "../shared", "shared/up.toml": "../top.toml", current: "fleet" };
    const paths = ["shared/a.toml", "shared/deep/b.toml", "shared/.c.toml", "top.toml", "fleet/own.toml"];
    const expected = [
      "common/a.toml = shared/a.toml",
      "common/deep/b.toml = shared/deep/b.toml",
      "common/up.toml = top.toml",
      "own.toml = fleet/own.toml",
    ];
    expect(chosen(paths, links, "fleet")).toEqual(expected);
    expect(chosen(paths, links, "current")).toEqual(expected);
  });

  test("a link to something else than fleet files is nobody's loss", () => {
    expect(chosen(["docs/page.md", "models/m.toml"], { manual: "docs", away: "/usr" })).toEqual([
      "models/m.toml = models/m.toml",
    ]);
  });

  test("what is not read yet is asked for, one step of a chain at a time", () => {
    const links = { "a.toml": "b.toml", "b.toml": "c.toml" };
    const tree = treeOf(["c.toml"], links);
    expect(chooseFiles(tree, "", new Map()).unread).toEqual(["link a.toml", "link b.toml"]);
    expect(chooseFiles(tree, "", new Map([["link a.toml", "b.toml"]])).unread).toEqual(["link b.toml"]);
  });

  test("of a tree that git made: hidden files are no fleet's, a submodule is told", () => {
    const tree = parseTree(readFileSync(join(import.meta.dirname, "../fixtures/git/tree.txt"), "utf8"));
    const { unread } = chooseFiles(tree, "", new Map());
    const [all = "", link = ""] = unread;
    const targets = new Map([
      [all, "models"],
      [link, "fleet.toml"],
    ]);
    expect(chooseFiles(tree, "", targets).choices.map(({ kind }) => kind)).toEqual([
      "file",
      "file",
      "file",
      "file",
      "file",
      "file",
      "file",
      "file",
      "file",
      "file",
      "submodule",
    ]);
  });
});

describe("whether a change is the fleet's own", () => {
  test.each([
    { name: "a fleet file", changed: ["fleet/a.toml"], fileName: undefined, expected: true },
    { name: "a hidden one", changed: ["fleet/.cortex/a.toml"], fileName: undefined, expected: false },
    { name: "another file", changed: ["fleet/README.md"], fileName: undefined, expected: false },
    { name: "the one file", changed: ["fleet/one.toml"], fileName: "one.toml", expected: true },
    { name: "beside the one file", changed: ["fleet/two.toml"], fileName: "one.toml", expected: false },
    { name: "nothing", changed: [], fileName: undefined, expected: false },
  ])("$name", ({ changed, fileName, expected }) => {
    expect(touchesFleet(changed, { prefix: "fleet/", fileName })).toBe(expected);
  });
});
