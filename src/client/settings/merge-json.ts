import { applyEdits, modify, parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { placeOf, valueAt } from "./set-in.ts";
import type { Setting } from "./settings-change.ts";

/** JSON as editors have it: with comments and commas at ends. Throws on anything else. */
export function parseJsonc(text: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined) return value;
  const line = text.slice(0, first.offset).split("\n").length;
  throw new Error(`line ${line}: ${printParseErrorCode(first.error)}`);
}

/** One setting in a text, which keeps its comments and the way it is written. */
export function setInJson(text: string, setting: Setting): string {
  const root = text.trim() === "" ? "{}\n" : text;
  const present = valueAt(parseJsonc(root), setting.path);
  if (setting.kind === "default" && present !== undefined) return text;
  const edit = (path: readonly (string | number)[], value: unknown): string =>
    applyEdits(root, modify(root, [...path], value, { formattingOptions: formatOf(root) }));
  if (setting.kind === "forget") {
    return present === setting.value ? edit(setting.path, undefined) : text;
  }
  if (setting.kind !== "element") return edit(setting.path, setting.value);
  if (!Array.isArray(present)) return edit(setting.path, [setting.value]);
  return edit([...setting.path, placeOf(present, setting.by, setting.value)], setting.value);
}

function formatOf(text: string) {
  const [, indent = "  "] = /\n([ \t]+)\S/.exec(text) ?? [];
  return { insertSpaces: !indent.startsWith("\t"), tabSize: indent.length, eol: "\n" };
}
