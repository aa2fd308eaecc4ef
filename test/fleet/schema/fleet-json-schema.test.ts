import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fleetJsonSchema, fleetJsonSchemaText, SCHEMA_PATH } from "../../../src/fleet/schema/fleet-json-schema.ts";
import { fleetSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { keysOf, schemaAt, writtenSchema } from "../../../src/fleet/schema/schema-shape.ts";
import { z } from "zod";

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
}

const schema: Schema & { readonly $schema?: unknown } = fleetJsonSchema();

function tablesOf(path: string, part: Schema): [string, Schema][] {
  const below = [
    ...Object.entries(part.properties ?? {}).flatMap(([key, inner]) => tablesOf(`${path}.${key}`, inner)),
    ...(part.items === undefined ? [] : tablesOf(`${path}[]`, part.items)),
    ...(part.oneOf ?? []).flatMap((option) => tablesOf(path, option)),
  ];
  return part.properties === undefined ? below : [[path, part], ...below];
}

test("it is of the draft that TOML language servers read, and lies where files say", () => {
  expect(schema.$schema).toBe("http://json-schema.org/draft-07/schema#");
  expect(SCHEMA_PATH).toBe(".cortex/fleet.schema.json");
});

test("it ships with the package, as the reference page says", () => {
  const root = join(import.meta.dirname, "../../..");
  const [, path = ""] =
    /\]\(\.\.\/(\S+\.schema\.json)\)/.exec(readFileSync(join(root, "docs/fleet-files.md"), "utf8")) ?? [];
  expect(readFileSync(join(root, path), "utf8")).toBe(fleetJsonSchemaText());
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  expect(files).toContain(path.split("/")[0]);
});

test("one file need not hold everything, and no table takes an unknown key", () => {
  expect(schema.required).toBeUndefined();
  for (const [path, table] of tablesOf("", schema))
    expect([path, table.additionalProperties]).toEqual([path, false]);
});

test("every key has a description", () => {
  const silent = tablesOf("", schema).flatMap(([path, table]) =>
    Object.entries(table.properties ?? {}).flatMap(([key, value]) =>
      value.description === undefined && value.items?.description === undefined ? [`${path}.${key}`] : [],
    ),
  );
  expect(silent).toEqual([]);
});

test("it has the keys that the files may have, table by table", () => {
  for (const table of keysOf(fleetSchema)) {
    const written = writtenSchema(schemaAt(fleetSchema, [table]));
    const isList = written instanceof z.ZodArray;
    const inSchema = schema.properties?.[table];
    const keys = keysOf(isList ? schemaAt(fleetSchema, [table, 0]) : written);
    expect(Object.keys((isList ? inSchema?.items : inSchema)?.properties ?? {})).toEqual(keys);
  }
});
