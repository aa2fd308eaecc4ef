import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const PAGES = globSync(
  "{README,ARCHITECTURE,CONTRIBUTING,{docs,packaging,dashboards,bench,assets,tools}/**/*}.md",
  {
    cwd: root,
  },
).toSorted();

/** Headings as git hosts name them: small letters, without punctuation, with dashes for blanks. */
const anchorsOf = (path: string): ReadonlySet<string> =>
  new Set(
    [...read(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );

function problemOf(page: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file = "", anchor] = target.split("#", 2);
  const path = file === "" ? page : normalize(join(dirname(page), file));
  if (!existsSync(join(root, path))) return `${page}: there is no ${path}`;
  if (anchor === undefined || !path.endsWith(".md") || anchorsOf(path).has(anchor)) return undefined;
  return `${page}: ${path} has no #${anchor}`;
}

test.each(PAGES)("the links of %s lead somewhere", (page) => {
  const prose = read(page)
    .replaceAll(/^```[\s\S]*?^```/gm, "")
    .replaceAll(/`[^`\n]*`/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(
    ([, link, source]) => link ?? source ?? "",
  );
  expect(targets.flatMap((target) => problemOf(page, target) ?? [])).toEqual([]);
});

test("the index of docs/ has every page, once", () => {
  const listed = [...read("docs/README.md").matchAll(/\]\(([a-z-]+\.md)\)/g)].map(([, page = ""]) => page);
  const pages = globSync("docs/*.md", { cwd: root })
    .map((path) => path.slice("docs/".length))
    .filter((page) => page !== "README.md");
  expect(listed.toSorted()).toEqual(pages.toSorted());
});
