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
  const ordered = inOrder(value);
  return ordered === NO_ORDER ? spelled(value) : (JSON.stringify(ordered) ?? "null");
}

/** Objects put names that are numbers first, and `__proto__` nowhere. */
const NO_ORDER = Symbol("no order");

/** The value itself where its keys are in order already, else a copy. */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value)
    ? listInOrder(value)
    : recordInOrder(value as Readonly<Record<string, unknown>>);
}

function listInOrder(list: readonly unknown[]): unknown {
  let copy: unknown[] | undefined;
  for (const [position, item] of list.entries()) {
    const ordered = inOrder(item);
    if (ordered === NO_ORDER) return NO_ORDER;
    if (ordered !== item) (copy ??= [...list])[position] = ordered;
  }
  return copy ?? list;
}

function recordInOrder(record: Readonly<Record<string, unknown>>): unknown {
  const keys = Object.keys(record);
  let copy: Record<string, unknown> | undefined;
  if (!isSorted(keys)) {
    keys.sort(compareText);
    copy = {};
  }
  for (const [position, key] of keys.entries()) {
    const inner = record[key];
    const ordered = inOrder(inner);
    if (ordered === NO_ORDER) return NO_ORDER;
    if (ordered !== inner)
      copy ??= Object.fromEntries(keys.slice(0, position).map((before) => [before, record[before]]));
    if (copy !== undefined) copy[key] = ordered;
  }
  if (copy === undefined) return record;
  return isSorted(Object.keys(copy)) && !keys.includes("__proto__") ? copy : NO_ORDER;
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
