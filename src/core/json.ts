import { compareText } from "./order.ts";

/** A JSON object: neither null nor an array. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The JSON value of a text; undefined, which JSON cannot say, when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * JSON with sorted keys; undefined counts as absent. The same value has the same text, however it was built. The engine
 * writes JSON twice as fast as code can, so it is given the value with its keys in order, where objects can keep it.
 */
export function canonicalJson(value: unknown): string {
  const ordered = inOrder(value, {});
  return ordered === NO_ORDER ? spelled(value) : (JSON.stringify(ordered) ?? "null");
}

/** Objects put names that are numbers first, and `__proto__` nowhere. */
const NO_ORDER = Symbol("no order");

/** The value itself where its keys are in order already, else a copy. */
function inOrder(value: unknown, known: Known): unknown {
  if (!isObject(value)) return value;
  return Array.isArray(value)
    ? listInOrder(value, (known.item ??= {}))
    : recordInOrder(value as Readonly<Record<string, unknown>>, known);
}

/**
 * What the last value at a place looked like. Records of a list mostly have the same keys, so what was found out about
 * those of one, and of the records within it, holds for the next.
 */
interface Known {
  /** Of the items of a list. */
  item?: Known;
  record?: KnownRecord;
}

interface KnownRecord {
  /** As the record has them, and in order: the same list where that is the same. */
  readonly keys: readonly string[];
  readonly sorted: readonly string[];
  /** Whether an object keeps them in this order. */
  readonly isKept: boolean;
  /** Of what stands under each key, by its position among the sorted ones. */
  readonly within: Known[];
}

function listInOrder(list: readonly unknown[], known: Known): unknown {
  let copy: unknown[] | undefined;
  for (let position = 0; position < list.length; position += 1) {
    const item = list[position];
    const ordered = inOrder(item, known);
    if (ordered === NO_ORDER) return NO_ORDER;
    if (ordered !== item) (copy ??= [...list])[position] = ordered;
  }
  return copy ?? list;
}

function recordInOrder(record: Readonly<Record<string, unknown>>, known: Known): unknown {
  const { keys, sorted, isKept, within } = knownOf(Object.keys(record), known);
  let copy: Record<string, unknown> | undefined = sorted === keys ? undefined : {};
  for (let position = 0; position < sorted.length; position += 1) {
    const key = sorted[position] as string;
    const inner = record[key];
    const ordered = isObject(inner) ? inOrder(inner, (within[position] ??= {})) : inner;
    if (ordered === NO_ORDER) return NO_ORDER;
    if (ordered !== inner) copy ??= firstOf(record, sorted.slice(0, position));
    if (copy !== undefined) copy[key] = ordered;
  }
  return copy === undefined || isKept ? (copy ?? record) : NO_ORDER;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const firstOf = (record: Readonly<Record<string, unknown>>, keys: readonly string[]) =>
  Object.fromEntries(keys.map((key) => [key, record[key]]));

function knownOf(keys: readonly string[], known: Known): KnownRecord {
  if (known.record !== undefined && areSame(keys, known.record.keys)) return known.record;
  const sorted = isSorted(keys) ? keys : keys.toSorted(compareText);
  const isKept = isSorted(Object.keys(firstOf({}, sorted))) && !keys.includes("__proto__");
  return (known.record = { keys, sorted, isKept, within: [] });
}

function areSame(left: readonly string[], right: readonly string[]): boolean {
  if (left.length !== right.length) return false;
  for (let position = 0; position < left.length; position += 1)
    if (left[position] !== right[position]) return false;
  return true;
}

function isSorted(keys: readonly string[]): boolean {
  for (let position = 1; position < keys.length; position += 1)
    if ((keys[position - 1] as string) > (keys[position] as string)) return false;
  return true;
}

function spelled(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spelled).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const record = value as Readonly<Record<string, unknown>>;
  let text = "";
  for (const key of Object.keys(record).sort(compareText)) {
    const inner = record[key];
    if (inner !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${spelled(inner)}`;
  }
  return `{${text}}`;
}
