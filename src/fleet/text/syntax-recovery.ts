import { parse, TomlError } from "smol-toml";
import { present } from "../../core/present.ts";
import type { Diagnostic } from "./diagnostics.ts";
import { parseFleetFile, type ParsedFile } from "./parse-fleet-file.ts";
import { SourceLines, type FleetFile, type SourceText } from "./source-lines.ts";
import { syntaxError } from "./syntax-error.ts";

/** What a file that is not TOML still gives: all its syntax errors, and the blocks without one. */
export interface BrokenFile {
  readonly errors: readonly Diagnostic[];
  /** The file without its broken blocks; places are those of the whole file. Undefined when nothing is sure. */
  readonly readable: ParsedFile | undefined;
}

/**
 * A parser stops at the first error, and a person who mends one slip only to be shown the next one stops trusting the
 * tool. A block from one header to the next is TOML by itself, so each is read alone: its first error is reported, and
 * the blocks without one are checked like any others. Long strings may hold lines that look like headers; files with
 * one are left at the first error.
 */
export function readBrokenFile(file: FleetFile, first: Diagnostic): BrokenFile {
  const alone = { errors: [first], readable: undefined };
  if (first.code !== "CTX101" || LONG_STRING.test(file.text)) return alone;
  const blocks = blocksOf(file.text);
  const source = { file, lines: new SourceLines(file.text) };
  const broken = blocks.flatMap((block) => {
    const error = errorIn(block, source);
    return error === undefined ? [] : [{ block, error }];
  });
  const errors = broken.map(({ error }) => error);
  // A key set twice is no error of one block, and what was left open before `first` explains it better.
  if (!errors.some(({ line }) => line <= first.line)) errors.unshift(first);
  if (broken.length === 0) return alone;
  const left = new Set(broken.map(({ block }) => block));
  const text = blocks.map((block) => (left.has(block) ? blanked(block.text) : block.text)).join("");
  const readable = parseFleetFile({ path: file.path, text });
  return { errors, readable: readable.ok ? { ...readable.value, ...source } : undefined };
}

const LONG_STRING = /"""|'''/;

/** A header, or what was meant as one. */
const HEADER = /^[ \t]*\[[ \t]*\[?[ \t]*[A-Za-z]/;

interface Block {
  /** Lines in front of it. */
  readonly line: number;
  readonly text: string;
}

function blocksOf(text: string): Block[] {
  const lines = text.split("\n");
  const starts = [0, ...lines.flatMap((content, line) => (line > 0 && HEADER.test(content) ? [line] : []))];
  return starts.map((line, index) => ({
    line,
    text: lines
      .slice(line, starts[index + 1])
      .map((content) => `${content}\n`)
      .join(""),
  }));
}

/** What is left open in a block is found at its end: blank lines and remarks below it would only lead away. */
function errorIn({ text, line }: Block, source: SourceText): Diagnostic | undefined {
  const lines = text.split("\n");
  const last = lines.findLastIndex((content) => !/^\s*(?:#|$)/.test(content));
  try {
    parse(`${lines.slice(0, last + 1).join("\n")}\n`, { unsafeKeyBehaviour: "throw" });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const isBelow = thrown.line > last + 1;
    return syntaxError(source, {
      line: line + (isBelow ? last + 1 : thrown.line),
      column: isBelow ? present(lines[last], "the last line").trimEnd().length + 1 : thrown.column,
      message: thrown.message,
    });
  }
}

/** Spaces instead of a block, so that all other places stay where they are. */
const blanked = (text: string): string => text.replaceAll(/[^\r\n]/g, " ");
