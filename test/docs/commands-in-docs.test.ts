import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import {
  commandsOf,
  linesOfPage,
  loadCommands,
  mentionsOf,
  problemsOf,
  type Known,
} from "./command-lines.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");
const found = (pattern: string): readonly string[] => globSync(pattern, { cwd: root }).toSorted();

let known: Known;

beforeAll(async () => {
  known = await loadCommands();
});

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "ARCHITECTURE.md",
  ...found("{docs,packaging,dashboards,assets,bench,tools}/**/*.md"),
];

/** Messages, next steps and summaries name commands too; in `src` they stand in texts, with backticks around them or not. */
const SOURCES = found("src/**/*.{ts,tsx}");

test.each(PAGES)("every call of cortex in %s could be typed", (path) => {
  const wrong = linesOfPage(path, read(path)).flatMap((place) =>
    problemsOf(place, known).map((problem) => `${place.at}: cortex ${place.line}: ${problem}`),
  );
  expect(wrong).toEqual([]);
});

test("the pages are full of calls", () => {
  expect(PAGES.flatMap((path) => linesOfPage(path, read(path))).length).toBeGreaterThan(150);
  expect(SOURCES.flatMap((path) => read(path).split("\n").flatMap(toldIn)).length).toBeGreaterThan(200);
});

test("every call of cortex that the program itself tells of could be typed", () => {
  const wrong = SOURCES.flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, index) =>
        toldIn(line).flatMap((told) => {
          const place = { at: `${path}:${index + 1}`, line: told, isWhole: false };
          return problemsOf(place, known).map((problem) => `${place.at}: cortex ${told}: ${problem}`);
        }),
      ),
  );
  expect(wrong).toEqual([]);
});

/**
 * Of a line of source: what stands in backticks within a text, and "cortex plan --out FILE" of a sentence: the name of a
 * command and what follows it as flags, until the sentence goes on.
 */
function toldIn(line: string): readonly string[] {
  if (!line.includes("cortex ") && !line.includes("config.bin")) return [];
  const text = line.replaceAll("<%= config.bin %>", "cortex").replaceAll(/\$\{[^}]*\}/g, "VALUE");
  const names = [...known.commands.keys()].toSorted((one, other) => other.length - one.length).join("|");
  const call = new RegExp(
    `\\bcortex ((?:${names})(?![\\w-])(?: +--?[a-z][\\w-]*(?:[ =][A-Z][A-Z0-9]*\\b)?)*)`,
    "g",
  );
  const texts = [...text.matchAll(/"[^"]*"/g)].map(([quoted]) => quoted);
  const quoted = [...texts, ...text.matchAll(/\\`[^`]*\\`/g)].join(" ").replaceAll("\\`", "`");
  return [
    ...[...text.matchAll(call)].map(([, told = ""]) => told),
    ...mentionsOf("", quoted).map((place) => place.line),
  ];
}

test("the examples of --help could be typed", () => {
  const wrong = [...known.commands].flatMap(([name, command]) =>
    (command.examples ?? []).flatMap((example) => {
      const text = (typeof example === "string" ? example : example.command).replaceAll(
        "<%= config.bin %>",
        "cortex",
      );
      const lines = commandsOf(text.replaceAll(/\s+/g, " "));
      const problems = lines.flatMap((line) => problemsOf({ at: name, line, isWhole: true }, known));
      const isOfAnother = !text.includes("cortex ");
      return [...problems, ...(isOfAnother ? ["it shows no command"] : [])].map(
        (problem) => `${text}: ${problem}`,
      );
    }),
  );
  expect(wrong).toEqual([]);
});

describe("what would be found", () => {
  test.each([
    ["pln", /no command pln/],
    ["plan --outt FILE", /no --outt/],
    ["plan verify", /needs 1 arguments/],
    ["plan --out", /--out has no value/],
    ["validate one two", /takes 1 arguments/],
    ["completion powershell", /^$/],
    ["reconcile --mode sometimes", /may not be sometimes/],
  ])("cortex %s", (line, problem) => {
    expect(problemsOf({ at: "", line, isWhole: true }, known).join("; ")).toMatch(problem);
  });

  test("calls are found behind pipes, variables and npx, and comments are none", () => {
    expect(
      commandsOf("git diff | npx cortex chat --system 'a; b' && A=1 cortex plan # cortex nothing"),
    ).toEqual(["chat --system 'a; b'", "plan"]);
    expect(linesOfPage("p", "```\ncortex plan \\\n  --out F\n```\n`cortex why`")).toEqual([
      { at: "p:2", line: "plan  --out F", isWhole: true },
      { at: "p:5", line: "why", isWhole: false },
    ]);
  });
});
