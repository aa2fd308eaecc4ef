import { compareText } from "../../core/order.ts";
import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";
import type { BlockChange } from "./block-change.ts";
import { consequencesOf } from "./consequences.ts";
import { UNNAMED, type Declaration, type Settings, type TableName } from "./declaration.ts";
import { isExposure } from "./exposure.ts";
import { renamedBlocks } from "./renames.ts";

/** What a reader should see first. */
const TABLE_ORDER: readonly TableName[] = [
  "gateway",
  "keys",
  "aliases",
  "models",
  "neurons",
  "eviction",
  "ledger",
  "gitops",
  "fleet",
];

/** What an added or removed block shows of itself; the rest stands in the files. */
const TELLING: Partial<Record<TableName, readonly string[]>> = {
  keys: ["models", "role", "hard_cap", "window.kind", "window.seconds"],
  models: ["source", "replicas", "pinned_on", "context"],
  neurons: ["endpoint", "drain"],
  aliases: [""],
};

/** Every setting that differs, block by block: what widens access first, then in the order of the tables and names. */
export function declaredChanges(from: Declaration, to: Declaration): DeclaredChange[] {
  return TABLE_ORDER.flatMap((table) => changesOf(table, from, to))
    .map((change): DeclaredChange => {
      const { table, name, kind, renamedFrom } = change;
      return {
        id: name === UNNAMED ? table : `${table} ${name}`,
        table,
        name: name === UNNAMED ? null : name,
        kind,
        renamed_from: renamedFrom,
        fields: shownFields(change).map(({ key, ...field }) => ({
          ...(key === "fingerprint" ? HIDDEN : field),
          key: key === "fingerprint" ? "hash" : key,
        })),
        consequences: consequencesOf(change, { from, to }),
        exposes: isExposure(change, to),
      };
    })
    .toSorted((left, right) => Number(right.exposes) - Number(left.exposes));
}

const HIDDEN = { from: "(not shown)", to: "(another)" } as const;

function shownFields({ table, kind, fields }: BlockChange): BlockChange["fields"] {
  if (kind !== "added" && kind !== "removed") return fields;
  const telling = TELLING[table] ?? [];
  return fields.filter(({ key }) => telling.includes(key));
}

function changesOf(table: TableName, from: Declaration, to: Declaration): BlockChange[] {
  const [before, after] = [from.tables.get(table), to.tables.get(table)];
  if (before === undefined || after === undefined) return [];
  const renamed = renamedBlocks(table, before, after);
  const formerNames = new Set(renamed.values());
  const names = [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => !formerNames.has(name))
    .toSorted(compareText);
  return names.flatMap((name): BlockChange[] => {
    const formerName = renamed.get(name) ?? null;
    const [old, own] = [before.get(formerName ?? name), after.get(name)];
    const isDecidedThere = (key: string) => from.overridden.has(settingId({ table, name, key }));
    const fields = differingFields(old, own).filter(({ key }) => !isDecidedThere(key));
    const kind = kindOf({ old, own, formerName });
    if (kind === "changed" && fields.length === 0) return [];
    return [{ table, name, kind, renamedFrom: formerName, fields, old, own }];
  });
}

/** "gateway.listen", "models.Qwen/Qwen3-8B.replicas": as overrides are called. */
const settingId = (at: { readonly table: string; readonly name: string; readonly key: string }): string =>
  [at.table, at.name, at.key].filter((part) => part !== "").join(".");

function kindOf(block: {
  readonly old: Settings | undefined;
  readonly own: Settings | undefined;
  readonly formerName: string | null;
}): BlockChange["kind"] {
  if (block.formerName !== null) return "renamed";
  if (block.old === undefined) return "added";
  return block.own === undefined ? "removed" : "changed";
}

function differingFields(
  before: Settings = new Map(),
  after: Settings = new Map(),
): { readonly key: string; readonly from: string | null; readonly to: string | null }[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].toSorted(compareText);
  return keys.flatMap((key) => {
    const [from, to] = [before.get(key) ?? null, after.get(key) ?? null];
    return from === to ? [] : [{ key, from, to }];
  });
}
