import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type ConsoleCommand, consoleBlocks, missingOf } from "./console-blocks.ts";
import { ConsoleSession } from "./console-session.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Page {
  readonly path: string;
  readonly text: string;
}

const PAGES: readonly Page[] = ["README.md", ...globSync("docs/*.md", { cwd: root }).toSorted()]
  .map((path) => ({ path, text: readFileSync(`${root}${path}`, "utf8") }))
  .filter(({ text }) => consoleBlocks(text).length > 0);

/** The page at whose end another one begins; undefined for one that begins with nothing. */
const before = ({ text }: Page): string | undefined => /<!-- goes on where (\S+) ends -->/.exec(text)?.[1];

/** Pages that are read one after the other, on one machine. */
const readings = PAGES.filter((page) => before(page) === undefined).map((page) => [
  page,
  ...PAGES.filter((other) => page.path.endsWith(before(other) ?? "none")),
]);

test("every page is read", () => {
  expect(readings.flat().length).toBe(PAGES.length);
});

test.each(readings.map((pages) => ({ names: pages.map(({ path }) => path).join(", then "), pages })))(
  "what $names says to type does what it shows",
  { timeout: 240_000 },
  async ({ pages }) => {
    await using session = await ConsoleSession.open();
    for (const page of pages) expect(await read(page, session)).toBeGreaterThan(0);
  },
);

/** How many commands were typed. */
async function read({ path, text }: Page, session: ConsoleSession): Promise<number> {
  const blocks = consoleBlocks(text);
  for (const { terminal, exitCode, commands } of blocks) {
    const typed = (command: ConsoleCommand) =>
      terminal === null
        ? session.run(command.text)
        : session.start(command.text).then((output) => ({ exitCode: 0, output }));
    for (const command of commands) {
      const done = await typed(command);
      const told = `${path}:${command.line}: ${command.text}\n${done.output}`;
      expect(done.exitCode, told).toBe(command === commands.at(-1) ? exitCode : 0);
      expect(missingOf(command.shown, done.output), told).toBeNull();
    }
  }
  return blocks.flatMap(({ commands }) => commands).length;
}
