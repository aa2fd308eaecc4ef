import { parse, stringify } from "smol-toml";
import type { Setting } from "./settings-change.ts";

export const parseToml = (text: string): unknown => parse(text);

const HEADER = /^\s*\[/;

const lineOf = (key: string, value: unknown): string => stringify({ [key]: value }).trimEnd();

/**
 * One setting in a text, which keeps every other line: a key at the top stands before the first table, a table is
 * replaced as a whole or put at the end. TOML written in other ways is not found; who calls this compares.
 */
export function setInToml(text: string, { path, value }: Setting): string {
  const lines = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  const [key = "", ...rest] = path;
  const edited = rest.length === 0 ? setKey(lines, key, value) : setTable(lines, path.join("."), value);
  return `${edited.join("\n")}\n`;
}

function setKey(lines: readonly string[], key: string, value: unknown): readonly string[] {
  const firstTable = lines.findIndex((line) => HEADER.test(line));
  const end = firstTable === -1 ? lines.length : firstTable;
  const isKey = new RegExp(`^\\s*${key}\\s*=`);
  const at = lines.findIndex((line, index) => index < end && isKey.test(line));
  const line = lineOf(key, value);
  if (at !== -1) return lines.toSpliced(at, 1, line);
  // Behind the last key, so that comments and blank lines before the first table stay with it.
  const last = lines.findLastIndex((one, index) => index < end && /^\s*[\w"'-]+\s*=/.test(one));
  const place = last === -1 ? 0 : last + 1;
  return lines.toSpliced(place, 0, line, ...(last === -1 && end > 0 ? [""] : []));
}

function setTable(lines: readonly string[], name: string, value: unknown): readonly string[] {
  const table = [`[${name}]`, ...stringify(value).trimEnd().split("\n")];
  const at = lines.findIndex((line) => line.replace(/#.*/, "").trim() === `[${name}]`);
  if (at === -1) return [...lines, ...(lines.length === 0 ? [] : [""]), ...table];
  const next = lines.findIndex((line, index) => index > at && HEADER.test(line));
  const end = next === -1 ? lines.length : next;
  // Blank lines and comments above the next table belong to it.
  const last = lines.findLastIndex((line, index) => index < end && /^\s*[^#\s]/.test(line));
  return lines.toSpliced(at, last - at + 1, ...table);
}
