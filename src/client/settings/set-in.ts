import { isRecord } from "../../core/json.ts";
import type { Setting } from "./settings-change.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What stands at a path; undefined where nothing does, or something else is in the way. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) value = isRecord(value) ? value[key] : undefined;
  return value;
}

/** What stands in the way of a setting, and would be lost: a value where a table or a list has to be. */
export function obstacleTo(root: unknown, { kind, path }: Setting): string | null {
  const parents = path.slice(0, -1).map((_key, index) => path.slice(0, index + 1));
  const blocked = parents.find((parent) => {
    const value = valueAt(root, parent);
    return value !== undefined && !isRecord(value);
  });
  if (blocked !== undefined) return `\`${blocked.join(".")}\` is not a table`;
  const present = valueAt(root, path);
  return kind === "element" && present !== undefined && !Array.isArray(present)
    ? `\`${path.join(".")}\` is not a list`
    : null;
}

function withValue(root: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const fields: Fields = isRecord(root) ? root : {};
  return { ...fields, [key]: withValue(fields[key], rest, value) };
}

function withoutValue(root: unknown, path: readonly string[]): unknown {
  const [key = "", ...rest] = path;
  if (!isRecord(root)) return root;
  if (rest.length > 0) return { ...root, [key]: withoutValue(root[key], rest) };
  const { [key]: _gone, ...others } = root;
  return others;
}

/** Where in a list an element belongs: the place of the one that it replaces, or the end. */
export function placeOf(list: readonly unknown[], by: "name" | "id", value: Fields): number {
  const at = list.findIndex((element) => isRecord(element) && element[by] === value[by]);
  return at === -1 ? list.length : at;
}

/** The settings as they have to be, however the text is edited. */
export function withSetting(root: unknown, setting: Setting): unknown {
  const { path, value } = setting;
  const present = valueAt(root, path);
  if (setting.kind === "set") return withValue(root, path, value);
  if (setting.kind === "forget") return present === value ? withoutValue(root, path) : root;
  if (setting.kind === "default") return present === undefined ? withValue(root, path, value) : root;
  const list = Array.isArray(present) ? (present as readonly unknown[]) : [];
  return withValue(root, path, list.toSpliced(placeOf(list, setting.by, setting.value), 1, value));
}
