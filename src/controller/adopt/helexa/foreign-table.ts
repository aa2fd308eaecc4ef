import { isTable } from "../../../fleet/check/merge-fleet-files.ts";
import { placeOfKey, type ParsedFile } from "../../../fleet/text/parse-fleet-file.ts";
import type { KeyPath } from "../../../core/key-path.ts";
import type { ImportNote } from "../imported/import-report.ts";

/**
 * A table of another system's file, read key by key. What nobody takes is a note in the end: nothing is left out
 * silently, a misspelt key of the other system included.
 */
export class ForeignTable {
  readonly #file: ParsedFile;
  readonly #path: KeyPath;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #taken = new Set<string>();
  readonly #notes: ImportNote[];

  // oxlint-disable-next-line max-params -- a file, a place in it, and where notes go
  constructor(file: ParsedFile, path: KeyPath, notes: ImportNote[]) {
    this.#file = file;
    this.#path = path;
    this.#notes = notes;
    const value = path.reduce<unknown>(stepInto, file.document);
    this.#values = isTable(value) ? value : {};
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key);
  }

  keys(): string[] {
    return Object.keys(this.#values);
  }

  text(key: string): string | undefined {
    const value = this.#take(key);
    if (value === undefined || typeof value === "string") return value;
    this.note(key, "is not text");
    return undefined;
  }

  wholeNumber(key: string): number | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value)) return value;
    this.note(key, "is not a whole number");
    return undefined;
  }

  flag(key: string): boolean | undefined {
    const value = this.#take(key);
    if (value === undefined || typeof value === "boolean") return value;
    this.note(key, "is neither true nor false");
    return undefined;
  }

  texts(key: string): string[] {
    const value = this.#take(key) ?? [];
    if (!Array.isArray(value)) {
      this.note(key, "is not a list");
      return [];
    }
    const texts = value.filter((item): item is string => typeof item === "string");
    if (texts.length < value.length)
      this.note(key, "holds something that is not text; the texts are carried over");
    return texts;
  }

  /** Numbers of an inline table, such as prices. */
  numbers(key: string, known: readonly string[]): Readonly<Record<string, number>> | undefined {
    if (!this.has(key)) return undefined;
    const inner = this.table(key);
    const numbers = known.flatMap((name) => {
      const value = inner.#take(name);
      if (typeof value === "number") return [[name, value] as const];
      if (value !== undefined) inner.note(name, "is not a number");
      return [];
    });
    inner.noteRest();
    return numbers.length === 0 ? undefined : Object.fromEntries(numbers);
  }

  table(key: string): ForeignTable {
    const value = this.#take(key);
    if (value !== undefined && !isTable(value)) this.note(key, "is not a table");
    return new ForeignTable(this.#file, [...this.#path, key], this.#notes);
  }

  tables(key: string): ForeignTable[] {
    const value = this.#take(key) ?? [];
    if (!Array.isArray(value)) {
      this.note(key, "is not a list of tables");
      return [];
    }
    return value.map(
      (_item, index) => new ForeignTable(this.#file, [...this.#path, key, index], this.#notes),
    );
  }

  /** Says why a key is not carried over. */
  note(key: string, reason: string): void {
    this.#taken.add(key);
    const { file, line } = placeOfKey(this.#file, [...this.#path, key]);
    const named = [...this.#path.filter((step) => typeof step === "string"), key].join(".");
    this.#notes.push({ file, line, what: named, reason });
  }

  /** Notes for keys that are there, with the reason that the table gives each of them. */
  noteAll(reasons: Readonly<Record<string, string>>): void {
    for (const [key, reason] of Object.entries(reasons)) if (this.has(key)) this.note(key, reason);
  }

  /** Notes for whatever was not asked for. */
  noteRest(): void {
    for (const key of Object.keys(this.#values)) {
      if (!this.#taken.has(key)) this.note(key, "cortex has no such setting");
    }
  }

  #take(key: string): unknown {
    this.#taken.add(key);
    return this.has(key) ? this.#values[key] : undefined;
  }
}

function stepInto(value: unknown, step: string | number): unknown {
  if (typeof step === "number") return Array.isArray(value) ? (value as readonly unknown[])[step] : undefined;
  return isTable(value) && Object.hasOwn(value, step) ? value[step] : undefined;
}
