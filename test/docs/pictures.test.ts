import { globSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { terminalSvg } from "../../tools/pictures/terminal-svg.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MOST_BYTES = 150_000;

describe("a terminal as SVG", () => {
  const esc = "\u001B";
  const svg = terminalSvg(
    `${esc}[1mplan${esc}[0m  a & b\n${esc}[2mdim\nstill${esc}[0m ${esc}[7mrow${esc}[0m\n\n`,
    {
      title: "cortex <plan>",
      columns: 40,
    },
  );

  test("each run stands in its column, in its style, and styles go on in the next line", () => {
    const texts = [
      ...svg.matchAll(/<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)</g),
    ];
    expect(texts.map(([, style, x, y, text]) => [style, x, y, text])).toEqual([
      ["b", "14", "54", "plan"],
      ["", "64.4", "54", "a &amp; b"],
      ["d", "14", "72", "dim"],
      ["d", "14", "90", "still"],
      ["i", "64.4", "90", "row"],
    ]);
  });

  test("it says what it is, loads nothing and runs nothing", () => {
    expect(svg).toContain('aria-label="cortex &lt;plan&gt;"');
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|<script|url\(|@import/);
  });
});

test("the pictures of README.md are there, light, and the only ones", () => {
  const named = [...readFileSync(`${root}README.md`, "utf8").matchAll(/docs\/pictures\/[\w-]+\.\w+/g)].map(
    ([path]) => path,
  );
  expect(named.toSorted()).toEqual(globSync("docs/pictures/*", { cwd: root }).toSorted());
  expect(named.filter((path) => statSync(`${root}${path}`).size > MOST_BYTES)).toEqual([]);
});

test("each npm script that a page names is one of package.json", () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { readonly scripts: object };
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    ...globSync("{docs,packaging,bench,tools}/**/*.md", { cwd: root }),
  ];
  const named = pages.flatMap((path) =>
    [...readFileSync(`${root}${path}`, "utf8").matchAll(/npm run (?:--silent )?([a-z][\w:-]*)/g)].map(
      ([, name = ""]) => name,
    ),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});
