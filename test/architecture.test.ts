import { existsSync, globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** Pages for readers are held to the code here: folders, paths, imports and words that they name are those that exist. */

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const readIfThere = (path: string): string => (existsSync(join(root, path)) ? read(path) : "");
const found = (pattern: string): string[] => globSync(pattern, { cwd: root }).toSorted();

const files = found("{src,test}/**/*.ts");
const foldersOf = (paths: readonly string[]): string[] =>
  [...new Set(paths.flatMap((path) => ancestorsOf(path)))].toSorted();

function ancestorsOf(path: string): string[] {
  const folder = dirname(path);
  return folder === "." ? [] : [folder, ...ancestorsOf(folder)];
}

/** Areas and rooms. What lies below `commands` is the words of a command. */
const rooms = foldersOf(files.filter((path) => path.startsWith("src/")))
  .filter((folder) => folder !== "src" && basename(folder) !== "io" && !folder.startsWith("src/commands/"))
  .map((folder) => folder.slice("src/".length));

const paths = new Set([...files, ...foldersOf(files)]);

interface ImportRule {
  readonly name: string;
  readonly comment: string;
}

/** Area or room to the areas or siblings that it may import: the rules carry their table in their comments. */
const { forbidden } = createRequire(import.meta.url)("../.dependency-cruiser.cjs") as {
  readonly forbidden: readonly ImportRule[];
};

function rulesNamed(prefix: string): Map<string, string> {
  const tables = forbidden.filter(({ name }) => name.startsWith(prefix));
  return new Map(
    tables.map(({ comment }) => {
      const [folder = "", may = ""] = comment.replace(" of its siblings", "").split(" may import ");
      return [folder, may === "none" ? "nothing" : may];
    }),
  );
}

const areaImports = rulesNamed("area-");
const roomImports = rulesNamed("room-");

const architecture = read("ARCHITECTURE.md");

/** The folders of the page's tree, each with what stands behind its arrow. */
function treeOf(page: string): Map<string, string> {
  const tree = new Map<string, string>();
  const open: string[] = [];
  const lines = page.slice(page.indexOf("\nsrc/\n")).split("\n").slice(2);
  for (const line of lines.slice(0, lines.indexOf("```"))) {
    const [, indent = "", name = "", may = "nothing"] =
      /^( +)([\w-]+)\/ .*?(?: {2}<- (.*))?$/.exec(line) ?? [];
    open.splice(indent.length / 2 - 1, open.length, name);
    tree.set(open.join("/"), may);
  }
  return tree;
}

const quoted = (list: string): string =>
  list
    .split(", ")
    .map((name) => (name === "nothing" ? name : `\`${name}\``))
    .join(", ");

describe("ARCHITECTURE.md", () => {
  const tree = treeOf(architecture);

  test("its tree is the tree", () => {
    expect([...tree.keys()].toSorted()).toEqual(rooms);
  });

  test("the arrows of its tree are the import rules of rooms", () => {
    const arrows = new Map([...tree].filter(([folder]) => folder.includes("/")));
    expect(Object.fromEntries(arrows)).toEqual(Object.fromEntries(roomImports));
  });

  test("its table is the import rules of areas", () => {
    const rows = [...architecture.matchAll(/^\| `(\w+)` \| (nothing|`.*`) \|$/gm)];
    const table = rows.map(([, area, may]) => [area, may]);
    expect(table).toEqual([...areaImports].map(([area, may]) => [area, quoted(may)]));
  });

  test("every area has a rule", () => {
    const areas = rooms.filter((room) => !room.includes("/") && room !== "commands");
    expect([...areaImports.keys()].toSorted()).toEqual(areas);
  });
});

const glossary = [...read("docs/glossary.md").matchAll(/^- \*\*(.+?)\*\*: (.+) `(.+)`$/gm)];
const terms = glossary.map(([, term = ""]) => term);

describe("docs/glossary.md", () => {
  test("each term stands once, in alphabetical order", () => {
    expect(terms).toEqual([...new Set(terms)].toSorted());
    expect(read("docs/glossary.md").split("\n- ").length - 1).toBe(terms.length);
  });

  test("each term lives in a folder that exists", () => {
    expect(glossary.filter(([, , , folder = ""]) => !paths.has(folder)).map(([line]) => line)).toEqual([]);
  });
});

/** What an area or room may import, as its README says it. */
function mayImport(room: string): string {
  if (room === "commands") return "every area, but no other command.";
  const parent = dirname(room);
  if (parent === ".") return `${quoted(areaImports.get(room) ?? "")}.`;
  const may = roomImports.get(room) ?? "nothing";
  const siblings = `${may === "nothing" ? "none" : quoted(may)} of its siblings; `;
  if (room === "controller/verify")
    return `${siblings}of \`protocol\` only what it verifies, and nothing else of \`src\`.`;
  return `${siblings}else what \`${parent}\` may.`;
}

const lineOf = (page: string, label: string): string =>
  new RegExp(`^- ${label}: (.*)$`, "m").exec(page)?.[1] ?? "";

describe("the READMEs of areas and rooms", () => {
  const readmes = rooms.map((room) => ({ room, page: readIfThere(`src/${room}/README.md`) }));
  const each = (wrong: (room: string, page: string) => readonly string[]): string[] =>
    readmes.flatMap(({ room, page }) => wrong(room, page).map((what) => `${room}: ${what}`));

  test("have five lines: title, what it is, front door, imports, words", () => {
    const shape = /^# (.+)\n\n(?!-).+\n\n- Front door: .+\n- May import: .+\n- Words: .+\n$/;
    expect(
      each((room, page) => (shape.exec(page)?.[1] === room ? [] : [page === "" ? "has none" : page])),
    ).toEqual([]);
  });

  test("say truly what may be imported", () => {
    const said = each((_room, page) => [lineOf(page, "May import")]);
    expect(said).toEqual(each((room) => [mayImport(room)]));
  });

  test("name files that exist, with what these export", () => {
    const missing = each((room, page) => {
      const named = lineOf(page, "Front door").matchAll(/`([\w/-]+\.ts)`(?: \(([^)]*)\))?/g);
      return [...named].flatMap(([, file = "", symbols = ""]) => {
        const path = `src/${room}/${file}`;
        if (!paths.has(path)) return [file];
        const text = read(path);
        return [...symbols.matchAll(/`(\w+)`/g)].flatMap(([, symbol = ""]) =>
          new RegExp(`^export .*\\b${symbol}\\b`, "m").test(text) ? [] : [`${file} ${symbol}`],
        );
      });
    });
    expect(missing).toEqual([]);
  });

  test("use words of the glossary", () => {
    const foreign = each((_room, page) =>
      [...lineOf(page, "Words").matchAll(/\*\*(.+?)\*\*/g)].flatMap(([, word = ""]) =>
        terms.includes(word) ? [] : [word],
      ),
    );
    expect(foreign).toEqual([]);
  });
});

describe("every page", () => {
  const pages = globSync("**/*.md", {
    cwd: root,
    exclude: ["node_modules", "dist", "coverage", "shared", "test/fixtures"],
  });
  const each = (wrong: (page: string, text: string) => readonly string[]): string[] =>
    pages.flatMap((page) => wrong(page, read(page)).map((what) => `${page}: ${what}`));

  test("names paths of src and test that exist", () => {
    const missing = each((_page, text) =>
      [...text.matchAll(/`((?:src|test)\/[\w./-]+?)\/?`/g)].flatMap(([, path = ""]) =>
        paths.has(path) ? [] : [path],
      ),
    );
    expect(pages.length).toBeGreaterThan(rooms.length);
    expect(missing).toEqual([]);
  });

  test("links to files that exist", () => {
    const dead = each((page, text) =>
      [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].flatMap(([, link = ""]) =>
        existsSync(join(root, dirname(page), link)) ? [] : [link],
      ),
    );
    expect(dead).toEqual([]);
  });
});

test("CONTRIBUTING.md's examples are in the files where it says", () => {
  const examples = [...read("CONTRIBUTING.md").matchAll(/`(\w+)` in\s+`(src\/[\w./-]+\.ts)`/g)];
  const missing = examples.filter(
    ([, symbol = "", path = ""]) => !new RegExp(`\\b${symbol}\\b`).test(readIfThere(path)),
  );
  expect(examples).not.toEqual([]);
  expect(missing.map(([example]) => example)).toEqual([]);
});

test("only a plan is settled, and promises of the language", () => {
  const meant = /\bisSettled\b|\bunsettledText\b|\/plan-settled\.ts|Promise\.allSettled|could be settled/g;
  const strange = files
    .filter((path) => path.startsWith("src/"))
    .flatMap((path) =>
      read(path)
        .split("\n")
        .filter((line) => /settle/i.test(line.replaceAll(meant, "")))
        .map((line) => `${path}: ${line.trim()}`),
    );
  expect(strange).toEqual([]);
});

test("the rooms of CONTRIBUTING.md's twenty changes are rooms", () => {
  const table = read("CONTRIBUTING.md").split("| change | room |")[1] ?? "";
  const named = [...table.matchAll(/^\| .+ \| `src\/(.+)` \|$/gm)].map(([, room = ""]) => room);
  expect(named).toHaveLength(20);
  expect(named.filter((room) => !rooms.includes(room))).toEqual([]);
});

describe("the house rules on files", () => {
  // A command's path is its name to the user, so src/commands holds as many files as there are commands.
  test("no folder has more than 20 files", () => {
    const counted = files.filter((path) => dirname(path) !== "src/commands");
    const counts = Map.groupBy(counted, dirname);
    const crowded = [...counts].filter(([, inside]) => inside.length > 20);
    expect(crowded.map(([folder, inside]) => `${folder}: ${inside.length}`)).toEqual([]);
  });

  test("no file of src has more than 400 lines", () => {
    const long = files.filter(
      (path) => path.startsWith("src/") && read(path).trimEnd().split("\n").length > 400,
    );
    expect(long).toEqual([]);
  });

  test("no file is a barrel, and none is named for having no name", () => {
    const nameless = /\/index\.ts$|[/-](utils?|helpers?|common|misc)[./-]/;
    const reexports = /^export (\*|(type )?\{[^}]*\}) from /m;
    const wrong = files.filter(
      (path) => path.startsWith("src/") && (nameless.test(path) || reexports.test(read(path))),
    );
    expect(wrong).toEqual([]);
  });
});
