import type { Settings, TableName } from "./declaration.ts";

/** What makes a block the same under another name. */
const IDENTITY: Partial<Record<TableName, readonly string[]>> = {
  models: ["source", "revision", "quant", "sha256", "harness", "endpoint", "served_as", "command"],
  neurons: ["endpoint"],
  keys: ["fingerprint"],
};

/** Without one of them nothing tells a renamed model from another one: its id names its file. */
const NAMING: Partial<Record<TableName, readonly string[]>> = { models: ["source", "served_as"] };

type Blocks = ReadonlyMap<string, Settings>;

/** New names to old ones, where exactly one block went and one came that is otherwise the same. */
export function renamedBlocks(table: TableName, before: Blocks, after: Blocks): Map<string, string> {
  const gone = byIdentity(table, before, after);
  const come = byIdentity(table, after, before);
  const renamed = new Map<string, string>();
  for (const [identity, names] of come) {
    const former = gone.get(identity) ?? [];
    const [[name], [old]] = [names, former];
    if (names.length === 1 && former.length === 1 && name !== undefined && old !== undefined)
      renamed.set(name, old);
  }
  return renamed;
}

function byIdentity(table: TableName, blocks: Blocks, others: Blocks): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [name, settings] of blocks) {
    const identity = others.has(name) ? undefined : identityOf(table, settings);
    if (identity !== undefined) found.set(identity, [...(found.get(identity) ?? []), name]);
  }
  return found;
}

function identityOf(table: TableName, settings: Settings): string | undefined {
  const keys = IDENTITY[table];
  const naming = NAMING[table] ?? keys;
  if (keys === undefined || naming?.some((key) => settings.has(key)) !== true) return undefined;
  return JSON.stringify(keys.map((key) => settings.get(key) ?? null));
}
