import { parse } from "smol-toml";
import { tomlKey, tomlValue } from "./toml-value.ts";

/** A `[[keys]]` block as text, in the order of its fields; undefined ones are left out. Ends with a line break. */
export const keyBlockText = (fields: Readonly<Record<string, unknown>>): string =>
  [
    "[[keys]]",
    ...Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `${tomlKey(key)} = ${tomlValue(value)}`),
    "",
  ].join("\n");

/** The text with the block behind what it holds. */
export function withBlock(text: string, block: string): string {
  const before = text.trimEnd();
  return before === "" ? block : `${before}\n\n${block}`;
}

/**
 * The text without the `[[keys]]` block of this id, or null where it cannot be taken out by whole lines (keys in an
 * inline array). What is between its header and the next one goes with it, but for comments that stand right above
 * the next header. The result is parsed again: it says the same as before without that key, or it is not given.
 */
export function withoutKeyBlock(text: string, id: string): string | null {
  const lines = text.split("\n");
  const before = documentOf(text);
  if (before === null) return null;
  const expected = meaning({ ...before, keys: keysOf(before).filter((key) => idOf(key) !== id) });
  for (const [start, line] of lines.entries()) {
    if (!/^\s*\[\[\s*keys\s*\]\]/.test(line)) continue;
    const left = [...lines.slice(0, start), ...lines.slice(endOfBlock(lines, start))].join("\n");
    const after = documentOf(left);
    if (after !== null && meaning({ ...after, keys: keysOf(after) }) === expected) return left;
  }
  return null;
}

/** Up to the next header, and to the comments that belong to it. */
function endOfBlock(lines: readonly string[], start: number): number {
  const next = lines.findIndex((line, index) => index > start && /^\s*\[/.test(line) && !isOfKeys(line));
  let end = next === -1 ? lines.length : next;
  if (next === -1) return end;
  while (end > start + 1 && /^\s*#/.test(lines[end - 1] ?? "")) end -= 1;
  return end;
}

/** `[keys.window]` below a block is part of it. */
const isOfKeys = (line: string): boolean => /^\s*\[\s*keys\s*\./.test(line);

function documentOf(text: string): Record<string, unknown> | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

const keysOf = (document: Readonly<Record<string, unknown>>): readonly unknown[] =>
  Array.isArray(document["keys"]) ? document["keys"] : [];

const idOf = (key: unknown): unknown =>
  typeof key === "object" && key !== null && "id" in key ? key.id : undefined;

const meaning = (document: unknown): string =>
  JSON.stringify(document, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
