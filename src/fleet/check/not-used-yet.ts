import { z } from "zod";
import type { KeyPath } from "../../core/key-path.ts";
import { fleetSchema } from "../schema/fleet-schema.ts";
import { declaredSchemaAt } from "../schema/schema-shape.ts";
import type { Finding } from "../text/diagnostics.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";

interface UnusedSetting {
  /** Why believing in it would do harm. */
  readonly message: string;
  readonly help: string;
  /** Told of every block, and not once for all. */
  readonly each?: true;
  /** Values that ask for what happens anyway. */
  readonly asItIs?: readonly unknown[];
}

/**
 * Settings that are part of the format before a process acts on them: nobody should believe in them. Each goes from
 * here with the change that makes it work; test/fleet/check/every-field-acts.test.ts holds the schema to this table.
 */
export const NOT_USED_YET: Readonly<Record<string, UnusedSetting>> = {
  "neurons.labels": {
    message: "labels are neither shown nor decide anything yet",
    help: "use `pinned_on` to choose neurons",
  },
};

/** Why a setting changes nothing yet; undefined for one that is acted on. */
export function notUsedYet(table: string, key: string, value: string | null): string | undefined {
  const setting = NOT_USED_YET[table] ?? NOT_USED_YET[`${table}.${key.split(".")[0] ?? ""}`];
  if (setting === undefined || setting.asItIs?.map(String).includes(String(value)) === true) return undefined;
  return `not acted on yet: ${setting.message}`;
}

/** One finding for each setting, at the first place that has it. */
export function unusedFindings({ merged }: { readonly merged: MergedFleetDocument }): Finding[] {
  return Object.entries(NOT_USED_YET).flatMap(([name, setting]): Finding[] => {
    const { message, help, each, asItIs } = setting;
    const places = placesOf(merged, name).filter(({ value }) => asItIs?.includes(value) !== true);
    const shown = each ? places : places.slice(0, 1);
    const rest = name.includes(".") ? places.length - shown.length : 0;
    const more = rest === 0 ? "" : `; the same in ${rest} more ${rest === 1 ? "place" : "places"}`;
    return shown.map(({ at }) => ({ code: "CTX126", at, message: `${message}${more}`, help }));
  });
}

interface WrittenSetting {
  readonly at: Finding["at"];
  readonly value: unknown;
}

/** Every place of the files that sets it: of a table of blocks as a whole ("keys") each block. */
function placesOf(merged: MergedFleetDocument, name: string): WrittenSetting[] {
  const [table = "", key] = name.split(".");
  const declared = merged.valueAt([table]);
  const holders: readonly KeyPath[] = Array.isArray(declared)
    ? declared.map((_block, index) => [table, index])
    : [[table]];
  return holders.flatMap((holder): WrittenSetting[] => {
    const path = key === undefined ? holder : [...holder, key];
    const value = isTable(merged.valueAt(holder)) ? merged.valueAt(path) : undefined;
    // What is wrong there has a finding of its own.
    if (value === undefined || (key !== undefined && !isAllowed(path, value))) return [];
    return [{ at: key === undefined ? merged.placeOfKey(path) : merged.placeOfValue(path), value }];
  });
}

function isAllowed(path: KeyPath, value: unknown): boolean {
  const schema = declaredSchemaAt(fleetSchema, path);
  return schema instanceof z.ZodType && schema.safeParse(value).success;
}
