import type { KeyPath } from "../../../core/key-path.ts";
import type { ImportNote } from "./import-report.ts";

/** A YAML document that still knows its lines. */
export interface LocatedDocument {
  readonly path: string;
  readonly value: unknown;
  /** The line of the key at a path, counted from 1. */
  readonly lineOf: (path: KeyPath) => number | null;
}

/** A document that is imported, and what of it is not carried over. */
export interface NotedDocument {
  readonly document: LocatedDocument;
  readonly notes: ImportNote[];
}

/** Notes about a place of the document. */
export function noteAt(noted: NotedDocument, path: KeyPath, reason: string): void {
  noted.notes.push(noteOf(noted.document, path, reason));
}

/** Notes that a whole model is left out. */
export function noteLostModel(
  noted: NotedDocument,
  at: { readonly path: KeyPath; readonly model: string },
  reason: string,
): void {
  noted.notes.push({ ...noteOf(noted.document, at.path, reason), lost_model: at.model });
}

const noteOf = (document: LocatedDocument, path: KeyPath, reason: string): ImportNote => ({
  file: document.path,
  line: document.lineOf(path),
  what: path.map((step) => String(step)).join("."),
  reason,
});
