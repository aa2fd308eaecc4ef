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
  /** Every name that the document gives to a model, its own and its aliases; names made here are put in. */
  readonly names: Set<string>;
}

/** Notes about a place of the document. */
export function noteAt(
  context: Pick<SwapContext, "document" | "notes">,
  path: KeyPath,
  reason: string,
): void {
  context.notes.push(noteOf(context, path, reason));
}

/** Notes that a whole model is left out. */
export function noteLostModel(
  context: Pick<SwapContext, "document" | "notes">,
  at: { readonly path: KeyPath; readonly model: string },
  reason: string,
): void {
  context.notes.push({ ...noteOf(context, at.path, reason), lost_model: at.model });
}

function noteOf({ document }: Pick<SwapContext, "document">, path: KeyPath, reason: string): ImportNote {
  return {
    file: document.path,
    line: document.lineOf(path),
    what: path.map((step) => String(step)).join("."),
    reason,
  };
}
