import { parse, TomlError } from "smol-toml";
import { err, ok, type Result } from "../../core/result.ts";
import { diagnostic, type Diagnostic, type MarkedPlace } from "./diagnostics.ts";
import { SourceLines, type FleetFile, type SourceText } from "./source-lines.ts";
import { syntaxError } from "./syntax-error.ts";
import type { KeyPath } from "../../core/key-path.ts";
import { TomlLocator, type TomlLocation } from "./toml-locator.ts";

/** A file that is TOML: its document and the way back from a path to the text. */
export interface ParsedFile {
  readonly file: FleetFile;
  readonly lines: SourceLines;
  readonly document: Readonly<Record<string, unknown>>;
  readonly locator: TomlLocator;
}

/** Largest fleet file; anything above is a mistake (a model file with the wrong ending, say). */
export const FLEET_FILE_LIMIT_CHARACTERS = 4 * 1024 * 1024;

/** What a decoder writes where bytes were not UTF-8; no name or path that is meant has it. */
const REPLACEMENT_CHARACTER = "\uFFFD";

/** TOML text to document, or the one syntax error that the parser stops at. */
export function parseFleetFile(file: FleetFile): Result<ParsedFile, Diagnostic> {
  if (file.text.length > FLEET_FILE_LIMIT_CHARACTERS) {
    const at = { file: file.path, line: 1, column: 1 };
    return err(diagnostic({ code: "CTX120", at, message: `the file has ${file.text.length} characters` }));
  }
  const lines = new SourceLines(file.text);
  const damaged = file.text.indexOf(REPLACEMENT_CHARACTER);
  if (damaged !== -1) {
    const message = "the file is not UTF-8, or holds what was once damaged as such";
    const help = "save the file as UTF-8 and write the character anew";
    return err(
      diagnostic({
        code: "CTX101",
        at: mark({ file, lines }, { offset: damaged, end: damaged + 1 }),
        message,
        help,
      }),
    );
  }
  try {
    const document = parse(file.text, { unsafeKeyBehaviour: "throw" });
    return ok({ file, lines, document, locator: new TomlLocator(file.text) });
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    return err(syntaxError({ file, lines }, thrown));
  }
}

/** The key at `path`, or of the nearest table around it when the path is not in the file. */
export function placeOfKey(parsed: ParsedFile, path: KeyPath): MarkedPlace {
  const location = nearestLocation(parsed, path);
  return mark(parsed, { offset: location.keyOffset, end: location.keyEnd });
}

/** The value at `path`; its key when the value has no text of its own. */
export function placeOfValue(parsed: ParsedFile, path: KeyPath): MarkedPlace {
  const location = nearestLocation(parsed, path);
  return mark(parsed, location.value ?? { offset: location.keyOffset, end: location.keyEnd });
}

function nearestLocation(parsed: ParsedFile, path: KeyPath): TomlLocation {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const location = parsed.locator.find(path.slice(0, depth));
    if (location !== undefined) return location;
  }
  return { keyOffset: 0, keyEnd: 0, value: undefined };
}

function mark(
  { file, lines }: SourceText,
  { offset, end }: { readonly offset: number; readonly end: number },
): MarkedPlace {
  const { line, column, sourceLine } = lines.position(offset);
  const length = Math.max(1, Math.min(end - offset, sourceLine.length - column + 1));
  return { file: file.path, line, column, sourceLine, length };
}
