import { diagnostic, type Diagnostic, type MarkedPlace } from "../text/diagnostics.ts";
import { placeOfKey, placeOfValue, type ParsedFile } from "../text/parse-fleet-file.ts";
import type { KeyPath } from "../../core/key-path.ts";

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

function readStep(value: unknown, step: string | number): unknown {
  if (typeof step === "number") return Array.isArray(value) ? (value as unknown[])[step] : undefined;
  return isTable(value) && Object.hasOwn(value, step) ? value[step] : undefined;
}

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

  /** Sets a value from the environment; it wins over the files. Tables on the way are made where they are missing. */
  override(
    path: KeyPath,
    variable: { readonly name: string; readonly text: string; readonly value: unknown },
  ): void {
    const key = path.at(-1);
    const table = this.#containerAt(path.slice(0, -1));
    // What is no table there has a finding of its own.
    if (typeof key !== "string" || !isTable(table)) return;
    table[key] = variable.value;
    const inside = pathKey(path).slice(0, -1);
    for (const known of this.#origins.keys()) if (known.startsWith(inside)) this.#origins.delete(known);
    const origin = { kind: "environment", variable: variable.name, text: variable.text } as const;
    this.#origins.set(pathKey(path), origin);
  }

  /** Every place that the environment decides. */
  overriddenPaths(): KeyPath[] {
    return [...this.#origins].flatMap(([key, { kind }]) =>
      kind === "environment" ? [JSON.parse(key) as KeyPath] : [],
    );
  }

  /** The table or array at `path`, made or copied on the way down: parsed documents stay as they were read. */
  #containerAt(path: KeyPath): Table | unknown[] | undefined {
    const step = path.at(-1);
    if (step === undefined) return this.document;
    const holder = this.#containerAt(path.slice(0, -1));
    const present: unknown = readStep(holder, step);
    const own = Array.isArray(present)
      ? [...(present as unknown[])]
      : isTable(present)
        ? { ...present }
        : (present ?? {});
    if (typeof step === "string" && isTable(holder)) holder[step] = own;
    else if (typeof step === "number" && Array.isArray(holder)) holder[step] = own;
    else return undefined;
    return isTable(own) || Array.isArray(own) ? own : undefined;
  }

  valueAt(path: KeyPath): unknown {
    return path.reduce<unknown>(readStep, this.document);
  }

  /** False for what the environment says. */
  isFromFile(path: KeyPath): boolean {
    return this.#originOf(path)?.origin.kind !== "environment";
  }

  placeOfKey(path: KeyPath): MarkedPlace {
    return this.#place(path, placeOfKey);
  }

  placeOfValue(path: KeyPath): MarkedPlace {
    return this.#place(path, placeOfValue);
  }

  #place(path: KeyPath, find: (parsed: ParsedFile, path: KeyPath) => MarkedPlace): MarkedPlace {
    const found = this.#originOf(path);
    if (found === undefined) return { file: this.#fallback?.file.path ?? "", line: 1, column: 1 };
    const { origin, depth } = found;
    return origin.kind === "environment"
      ? environmentPlace(origin.variable, origin.text)
      : find(origin.parsed, [...origin.path, ...path.slice(depth)]);
  }

  /** Where the value, or the nearest table around it, came from. */
  #originOf(path: KeyPath): { readonly origin: Origin; readonly depth: number } | undefined {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const origin = this.#origins.get(pathKey(path.slice(0, depth)));
      if (origin !== undefined) return { origin, depth };
    }
    return undefined;
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
