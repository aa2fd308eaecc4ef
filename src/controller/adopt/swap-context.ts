import type { KeyPath } from "../../fleet/text/toml-locator.ts";
import type { ImportNote } from "./import-report.ts";

/** A YAML document that still knows its lines. */
export interface LocatedDocument {
  readonly path: string;
  readonly value: unknown;
  /** The line of the key at a path, counted from 1. */
  readonly lineOf: (path: KeyPath) => number | null;
}

export interface SwapContext {
  readonly document: LocatedDocument;
  readonly notes: ImportNote[];
  readonly macros: Readonly<Record<string, string>>;
  readonly preloaded: ReadonlySet<string>;
  readonly defaultTtlSecs: number | undefined;
}

/** Notes about a place of the document. */
export function noteAt(context: SwapContext, path: KeyPath, reason: string): void {
  const what = path.map((step) => String(step)).join(".");
  context.notes.push({ file: context.document.path, line: context.document.lineOf(path), what, reason });
}
