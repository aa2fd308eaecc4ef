import { isRecord } from "../../core/json.ts";
import { compareText } from "../../core/order.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { maskSecrets } from "../../fleet/text/mask-secrets.ts";
import {
  declaredFleet,
  type DeclaredFleet,
  type ServedFleet,
} from "../../protocol/declaration/declared-fleet.ts";
import type { DeclaredChange } from "../../protocol/declaration/plan-declaration.ts";

export type TableName = DeclaredChange["table"];

/** A block or a table as settings by key, each value as a person would write it: "limit.output" -> "4096". */
export type Settings = ReadonlyMap<string, string>;

/**
 * What a revision, or a running gateway, declares: the blocks of each table by name; a table of settings is one block
 * without a name. A table that is missing was not told, and is not compared.
 */
export interface Declaration {
  readonly tables: ReadonlyMap<TableName, ReadonlyMap<string, Settings>>;
  /** "gateway.listen": what the environment of one machine decides there. */
  readonly overridden: ReadonlySet<string>;
}

/** The name of the only block of a table of settings. */
export const UNNAMED = "";

/** The key of an alias: it has one setting, and no name for it. */
export const ALIAS_TARGET = "";

export function declarationOfFleet(fleet: Fleet): Declaration {
  const { gitops, fleet: identity } = fleet;
  const tables = new Map(tablesOf(declaredFleet(fleet)));
  tables.set("gitops", oneBlock(gitops));
  tables.set("fleet", oneBlock(identity));
  return { tables, overridden: new Set() };
}

/** What a gateway says that it serves; of the loop that applies it knows nothing. */
export const declarationOfServed = (served: ServedFleet): Declaration => ({
  tables: tablesOf(served),
  overridden: new Set(served.overridden),
});

function tablesOf(declared: DeclaredFleet): Map<TableName, ReadonlyMap<string, Settings>> {
  const { gateway, eviction, ledger, neurons, models, keys, aliases } = declared;
  return new Map<TableName, ReadonlyMap<string, Settings>>([
    ["gateway", oneBlock(gateway)],
    ["eviction", oneBlock(eviction)],
    ["ledger", oneBlock(ledger)],
    ["neurons", new Map(neurons.map((block) => [block.name, settingsOf(block, "name")]))],
    ["models", new Map(models.map((block) => [block.id, settingsOf(block, "id")]))],
    ["keys", new Map(keys.map((block) => [block.id, settingsOf(block, "id")]))],
    [
      "aliases",
      new Map(Object.entries(aliases).map(([alias, target]) => [alias, new Map([[ALIAS_TARGET, target]])])),
    ],
  ]);
}

const oneBlock = (table: Readonly<Record<string, unknown>>): ReadonlyMap<string, Settings> =>
  new Map([[UNNAMED, settingsOf(table)]]);

function settingsOf(block: Readonly<Record<string, unknown>>, nameKey?: string): Settings {
  const entries = flatten(block, "").filter(([key]) => key !== nameKey);
  return new Map(entries.toSorted(([left], [right]) => compareText(left, right)));
}

function flatten(table: Readonly<Record<string, unknown>>, prefix: string): (readonly [string, string])[] {
  return Object.entries(table).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return isRecord(value)
      ? flatten(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, maskSecrets(valueText(value))] as const];
  });
}

/** Lists of the files are sets: their order means nothing. */
function valueText(value: unknown): string {
  if (!Array.isArray(value)) return typeof value === "string" ? value : JSON.stringify(value);
  const texts = value.map((item) => (isRecord(item) ? JSON.stringify(item) : String(item)));
  return `[${texts.toSorted(compareText).join(", ")}]`;
}
