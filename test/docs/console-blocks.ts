/** A block of a page that is typed: what is said after each `$ ` and what is shown of what comes back. */
export interface ConsoleBlock {
  readonly line: number;
  /** It runs on in a terminal of its own, by this name; null: each command ends before the next begins. */
  readonly terminal: string | null;
  /** What its last command ends with. */
  readonly exitCode: number;
  readonly commands: readonly ConsoleCommand[];
}

export interface ConsoleCommand {
  readonly line: number;
  readonly text: string;
  /** Empty: what comes back is nobody's business. `...` stands for any lines, and at the end of a line for its rest. */
  readonly shown: readonly string[];
}

/** The blocks of a page that are marked as `console`, in their order. */
export function consoleBlocks(page: string): readonly ConsoleBlock[] {
  const blocks: ConsoleBlock[] = [];
  let open: { head: Omit<ConsoleBlock, "commands">; lines: string[] } | undefined;
  for (const [index, line] of page.split("\n").entries()) {
    const [, info] = /^```console(.*)$/.exec(line) ?? [];
    if (info !== undefined) {
      const terminal = /\bterminal=(\w+)/.exec(info)?.[1] ?? null;
      const exitCode = Number(/\bexit=(\d+)/.exec(info)?.[1] ?? 0);
      open = { head: { line: index + 2, terminal, exitCode }, lines: [] };
    } else if (open !== undefined && line === "```") {
      blocks.push({ ...open.head, commands: commandsIn(open.lines, open.head.line) });
      open = undefined;
    } else {
      open?.lines.push(line);
    }
  }
  return blocks;
}

function commandsIn(lines: readonly string[], from: number): readonly ConsoleCommand[] {
  const commands: { line: number; text: string; shown: string[] }[] = [];
  let isOpen = false;
  let until: string | undefined;
  for (const [index, line] of lines.entries()) {
    const last = commands.at(-1);
    if (line.startsWith("$ ")) {
      commands.push({ line: from + index, text: line.slice(2), shown: [] });
      until = /<<'(\w+)'/.exec(line)?.[1];
      isOpen = until !== undefined || line.endsWith("\\");
    } else if (last !== undefined && isOpen) {
      last.text += `\n${line}`;
      isOpen = until === undefined ? line.endsWith("\\") : line !== until;
    } else {
      last?.shown.push(line);
    }
  }
  return commands;
}

/** Without what differs from run to run: figures, revisions, times, widths of columns. */
const steady = (line: string): string =>
  line
    .replaceAll(/\b[0-9a-f]{7,64}\b/g, "#")
    .replaceAll(/\bnow\b|\b\d+ (?:s|min|m) ago\b/g, "#")
    .replaceAll(/\b[\d.]+ (?:ms|s|min)\b/g, "# s")
    .replaceAll(/\d+(?:[.,:]\d+)*/g, "#")
    .replaceAll(/-{3,}|─{3,}/g, "---")
    .replaceAll(/\s+/g, " ")
    .trimEnd();

/** What a page shows and the output is not; null where it is all there, in its order and with nothing between. */
export function missingOf(shown: readonly string[], output: string): string | null {
  if (shown.length === 0) return null;
  const came = output.trimEnd().split("\n").map(steady);
  let at = 0;
  let maySkip = false;
  for (const line of shown) {
    if (line === "...") {
      maySkip = true;
      continue;
    }
    const fits = fitting(line);
    const found = maySkip ? came.findIndex((each, index) => index >= at && fits(each)) : at;
    const candidate = came[found];
    if (candidate === undefined || !fits(candidate)) return line;
    at = found + 1;
    maySkip = false;
  }
  return maySkip || at === came.length
    ? null
    : `nothing after ${JSON.stringify(shown.at(-1))}: ${came[at] ?? ""}`;
}

function fitting(line: string): (candidate: string) => boolean {
  const isOpen = line.endsWith("...");
  const wanted = steady(isOpen ? line.slice(0, -3) : line);
  return (candidate) => (isOpen ? candidate.startsWith(wanted) : candidate === wanted);
}
