import { globSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Command } from "@oclif/core";
import { consoleBlocks } from "./console-blocks.ts";

export interface Place {
  /** "docs/top.md:12". */
  readonly at: string;
  /** From `cortex` on, as it stands there. */
  readonly line: string;
  /** To be typed as it is; else the mention of a command in a sentence, whose arguments may be left to the reader. */
  readonly isWhole: boolean;
}

export interface Known {
  /** "plan verify" to what it takes; also by its other names. */
  readonly commands: ReadonlyMap<string, Command.Class>;
  /** First words of several: "store". */
  readonly topics: ReadonlySet<string>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Every command by its name, from source: nothing has to be built. */
export async function loadCommands(): Promise<Known> {
  const folder = `${root}src/commands/`;
  const files = globSync(`${folder}**/*.ts`).toSorted();
  const loaded = await Promise.all(
    files.map(async (file): Promise<readonly [string, Command.Class][]> => {
      const module = (await import(pathToFileURL(file).href)) as { readonly default: Command.Class };
      const name = relative(folder, file).replace(/\.ts$/, "").replaceAll("/", " ");
      const names = [name, ...module.default.aliases.map((alias) => alias.replaceAll(":", " "))];
      return names.map((each) => [each, module.default]);
    }),
  );
  const commands = new Map(loaded.flat());
  const topics = [...commands.keys()].flatMap((name) =>
    name.includes(" ") ? (name.split(" ")[0] ?? []) : [],
  );
  return { commands, topics: new Set(topics) };
}

/** Of a page: what stands in its blocks of code is to be typed, what stands in backticks is mentioned. */
export function linesOfPage(path: string, text: string): readonly Place[] {
  const places: Place[] = [];
  let fence: string | undefined;
  let block: { readonly from: number; readonly lines: string[] } = { from: 0, lines: [] };
  for (const [index, line] of text.split("\n").entries()) {
    const mark = /^\s*(```+)\s*(\S*)/.exec(line);
    if (mark !== null && fence === undefined) {
      fence = mark[2] ?? "";
      block = { from: index + 2, lines: [] };
    } else if (mark !== null) {
      if (SHELLS.has(fence ?? "")) places.push(...linesOfBlock(path, block));
      if (fence === "console") places.push(...typedLines(path, text, block.from));
      fence = undefined;
    } else if (fence === undefined) {
      places.push(...mentionsOf(`${path}:${index + 1}`, line));
    } else {
      block.lines.push(line);
    }
  }
  return places;
}

/** The languages of blocks that a shell reads; without one it is a command or its output. */
const SHELLS: ReadonlySet<string> = new Set(["", "sh", "bash"]);

function linesOfBlock(
  path: string,
  { from, lines }: { readonly from: number; readonly lines: readonly string[] },
): readonly Place[] {
  return joinedLines(lines).flatMap(({ index, text }) =>
    commandsOf(text).map((line) => ({ at: `${path}:${from + index}`, line, isWhole: true })),
  );
}

/** Of a block with prompts what stands behind them; the rest is output. */
const typedLines = (path: string, page: string, from: number): readonly Place[] =>
  (consoleBlocks(page).find(({ line }) => line === from)?.commands ?? []).flatMap(({ line, text }) =>
    commandsOf(text.split("\n")[0] ?? "").map((command) => ({
      at: `${path}:${line}`,
      line: command,
      isWhole: true,
    })),
  );

/** Lines that end in a backslash go on in the next one. */
function joinedLines(lines: readonly string[]): readonly { readonly index: number; readonly text: string }[] {
  const joined: { index: number; text: string }[] = [];
  for (const [index, line] of lines.entries()) {
    const last = joined.at(-1);
    if (last?.text.endsWith("\\") === true) last.text = `${last.text.slice(0, -1)} ${line.trim()}`;
    else joined.push({ index, text: line });
  }
  return joined;
}

/** What stands in backticks and begins with the name of the program. */
export const mentionsOf = (at: string, text: string): readonly Place[] =>
  [...text.matchAll(/`((?:npx )?cortex(?:-neuron)? [^`]*)`/g)].flatMap(([, line = ""]) =>
    commandsOf(line).map((command) => ({ at, line: command, isWhole: false })),
  );

/** The calls of cortex in a line of shell: after pipes, in substitutions, behind variables, without comments. */
export function commandsOf(line: string): readonly string[] {
  const withoutComment = line.replace(/(^|\s)#\s.*$/, "");
  return splitOutsideQuotes(withoutComment).flatMap(
    (part) =>
      /^\s*(?:\$ )?(?:[A-Z_]+=\S* )*(?:sudo )?(?:npx )?cortex(?:-neuron)? (.+)$/.exec(part)?.[1]?.trim() ??
      [],
  );
}

/** At pipes, `;`, `&`, `$(` and `)`: each part is a call of its own. */
function splitOutsideQuotes(line: string): readonly string[] {
  const parts = [""];
  let quote: string | undefined;
  for (const character of line) {
    if (quote === undefined && /["']/.test(character)) quote = character;
    else if (character === quote) quote = undefined;
    if (quote === undefined && /[|;&()]/.test(character)) parts.push("");
    else parts[parts.length - 1] = `${parts.at(-1) ?? ""}${character}`;
  }
  return parts.map((part) => part.replace(/\$$/, ""));
}

const wordsOf = (line: string): readonly string[] =>
  [...line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word);

/** What is wrong with a line; nothing where it could be typed. */
export function problemsOf({ line, isWhole }: Place, { commands, topics }: Known): readonly string[] {
  const words = wordsOf(line.replaceAll(/\s+[<>]+\s*\S+/g, ""));
  const [first = ""] = words;
  if (!isWhole && words.length === 1 && topics.has(first)) return [];
  if (first.startsWith("-")) return /^--(help|version)$/.test(first) ? [] : [`cortex has no ${first}`];
  const name = [words.slice(0, 2).join(" "), first].find((each) => commands.has(each));
  const command = name === undefined ? undefined : commands.get(name);
  if (name === undefined || command === undefined) return [`there is no command ${first}`];
  return problemsOfArguments(command, { words: words.slice(name.split(" ").length), isWhole });
}

interface Given {
  readonly words: readonly string[];
  readonly isWhole: boolean;
}

function problemsOfArguments(command: Command.Class, { words, isWhole }: Given): readonly string[] {
  const problems: string[] = [];
  const positional: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (!word.startsWith("-") || word === "-") {
      positional.push(word);
      continue;
    }
    const [flagName = "", value] = word.split("=", 2);
    const flag = flagOf(command, flagName);
    if (flag === undefined) problems.push(`it has no ${flagName}`);
    else if (flag.takesValue && value === undefined) {
      at += 1;
      if (isWhole && words[at] === undefined) problems.push(`${flagName} has no value`);
      problems.push(...flag.check(words[at]));
    }
  }
  return [...problems, ...problemsOfPositions(command, { words: positional, isWhole })];
}

interface FoundFlag {
  readonly takesValue: boolean;
  readonly check: (value: string | undefined) => readonly string[];
}

const BARE: FoundFlag = { takesValue: false, check: () => [] };

function flagOf(command: Command.Class, word: string): FoundFlag | undefined {
  if (word === "--help" || (word === "--json" && command.enableJsonFlag)) return BARE;
  const found = Object.entries(command.flags).find(([name, flag]) => {
    if (!word.startsWith("--")) return word === `-${flag.char ?? ""}`;
    const isOff = flag.type === "boolean" && flag.allowNo && word === `--no-${name}`;
    return isOff || word === `--${name}`;
  });
  if (found === undefined) return undefined;
  const [name, flag] = found;
  if (flag.type !== "option") return BARE;
  const options: readonly string[] | undefined = flag.options;
  return {
    takesValue: true,
    check: (value) =>
      options === undefined || value === undefined || isPlaceholder(value) || options.includes(value)
        ? []
        : [`--${name} may not be ${value}`],
  };
}

/** "FILE", "<name>", "openai|anthropic": a word that stands for others. */
const isPlaceholder = (word: string): boolean => /^[A-Z]+$|^<|\||…|\.\.\./.test(word);

function problemsOfPositions(command: Command.Class, { words, isWhole }: Given): readonly string[] {
  const declared = Object.values(command.args);
  const takesMore = declared.some(({ multiple }) => multiple === true);
  const least = declared.filter(({ required }) => required === true).length;
  if (words.length > declared.length && !takesMore)
    return [`it takes ${declared.length} arguments, not ${words.join(" ")}`];
  return isWhole && words.length < least ? [`it needs ${least} arguments`] : [];
}
