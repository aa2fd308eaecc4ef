import { diagnostic, type Diagnostic, type MarkedPlace } from "./diagnostics.ts";
import type { ScalarSetting } from "./fleet-schema.ts";
import { placeOfKey, placeOfValue, type ParsedFile } from "./parse-fleet-file.ts";
import type { KeyPath } from "./toml-locator.ts";

type Table = Record<string, unknown>;

/** Where a merged value came from: a path in a file, or an environment variable. */
type Origin =
  | { readonly kind: "file"; readonly parsed: ParsedFile; readonly path: KeyPath }
  | { readonly kind: "environment"; readonly variable: string; readonly text: string };

export const isTable = (value: unknown): value is Table => {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

const isArrayOfTables = (value: unknown): value is Table[] => Array.isArray(value) && value.every(isTable);

const pathKey = (path: KeyPath): string => JSON.stringify(path);

/** The documents of a fleet as one, which still knows where every value was written. */
export class MergedFleetDocument {
  readonly document: Table = {};
  readonly conflicts: Diagnostic[] = [];
  readonly #origins = new Map<string, Origin>();
  readonly #fallback: ParsedFile | undefined;

  /**
   * Tables may be split over files at will, arrays of tables are joined in the order of the files, and any other
   * key set twice is a conflict that names both places.
   */
  constructor(files: readonly ParsedFile[]) {
    this.#fallback = files[0];
    for (const parsed of files) this.#merge(this.document, { parsed, table: parsed.document, path: [] });
  }

  /** Sets a value from the environment; it wins over the files. */
  override(setting: ScalarSetting, variable: { readonly name: string; readonly text: string }): void {
    const existing = this.document[setting.table];
    const table: Table = isTable(existing) ? existing : {};
    this.document[setting.table] = table;
    const isNumeric = setting.isNumber && /^[+-]?\d+(\.\d+)?$/.test(variable.text);
    table[setting.key] = isNumeric ? Number(variable.text) : variable.text;
    const origin = { kind: "environment", variable: variable.name, text: variable.text } as const;
    this.#origins.set(pathKey([setting.table, setting.key]), origin);
  }

  valueAt(path: KeyPath): unknown {
    let value: unknown = this.document;
    for (const step of path) {
      if (typeof step === "number") value = Array.isArray(value) ? (value as unknown[])[step] : undefined;
      else value = isTable(value) ? value[step] : undefined;
    }
    return value;
  }

  placeOfKey(path: KeyPath): MarkedPlace {
    return this.#place(path, placeOfKey);
  }

  placeOfValue(path: KeyPath): MarkedPlace {
    return this.#place(path, placeOfValue);
  }

  #place(path: KeyPath, find: (parsed: ParsedFile, path: KeyPath) => MarkedPlace): MarkedPlace {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const origin = this.#origins.get(pathKey(path.slice(0, depth)));
      if (origin === undefined) continue;
      if (origin.kind === "environment") return environmentPlace(origin.variable, origin.text);
      return find(origin.parsed, [...origin.path, ...path.slice(depth)]);
    }
    return { file: this.#fallback?.file.path ?? "", line: 1, column: 1 };
  }

  #merge(target: Table, source: { parsed: ParsedFile; table: Readonly<Table>; path: KeyPath }): void {
    for (const [key, value] of Object.entries(source.table)) {
      const path = [...source.path, key];
      const present = target[key];
      if (!Object.hasOwn(target, key)) this.#adopt(target, { ...source, path, value });
      else if (isTable(present) && isTable(value)) {
        this.#merge(present, { parsed: source.parsed, table: value, path });
      } else if (isArrayOfTables(present) && isArrayOfTables(value)) {
        this.#join(present, { parsed: source.parsed, items: value, path });
      } else this.#conflict(source.parsed, path);
    }
  }

  /** Copies tables, so that merging never writes into a parsed document. */
  #adopt(target: Table, source: { parsed: ParsedFile; path: KeyPath; value: unknown }): void {
    const key = String(source.path.at(-1));
    this.#origins.set(pathKey(source.path), { kind: "file", parsed: source.parsed, path: source.path });
    if (isTable(source.value)) {
      const table: Table = {};
      target[key] = table;
      this.#merge(table, { parsed: source.parsed, table: source.value, path: source.path });
    } else if (isArrayOfTables(source.value)) target[key] = [...source.value];
    else target[key] = source.value;
  }

  #join(present: Table[], source: { parsed: ParsedFile; items: Table[]; path: KeyPath }): void {
    for (const [index, item] of source.items.entries()) {
      const origin = { kind: "file", parsed: source.parsed, path: [...source.path, index] } as const;
      this.#origins.set(pathKey([...source.path, present.length]), origin);
      present.push(item);
    }
  }

  #conflict(parsed: ParsedFile, path: KeyPath): void {
    const first = this.placeOfKey(path);
    this.conflicts.push(
      diagnostic({
        code: "CTX105",
        at: placeOfKey(parsed, path),
        message: `\`${path.join(".")}\` is already set in ${first.file}:${first.line}`,
        related: [{ file: first.file, line: first.line, column: first.column, message: "set here first" }],
      }),
    );
  }
}

export const environmentPlace = (variable: string, text: string): MarkedPlace => ({
  file: `environment variable ${variable}`,
  line: 1,
  column: 1,
  sourceLine: text,
  length: Math.max(1, text.length),
});
