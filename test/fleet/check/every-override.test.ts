import { expect, test } from "vitest";
import { fleetJsonSchema } from "../../../src/fleet/schema/fleet-json-schema.ts";
import { parseFleet } from "../../../src/fleet/load-fleet.ts";
import { tomlValue } from "../../../src/fleet/text/toml-value.ts";

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
}

const FLEET = `
[fleet]
name = "home"
[[neurons]]
name = "beast"
endpoint = "http://beast:13131"
[[models]]
id = "Qwen/Qwen3-8B"
limit = { context = 9 }
[[keys]]
id = "ci"
hash = "sha256:${"0".repeat(64)}"
`;

const BLOCKS: Readonly<Record<string, string>> = { neurons: "BEAST", models: "QWEN_QWEN3_8B", keys: "CI" };

/** Something that the key may be and, where that is possible, not what it is by default. */
function valueFor(schema: Schema): unknown {
  if (schema.enum !== undefined) return schema.enum.at(-1);
  if (schema.type === "boolean") return schema.default !== true;
  return schema.examples?.[0] ?? schema.default ?? `sha256:${"1".repeat(64)}`;
}

function keysBelow(prefix: string, schema: Schema): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const name = `${prefix}__${key.toUpperCase()}`;
    return [[name, inner] as [string, Schema], ...keysBelow(name, inner)];
  });
}

const variables = Object.entries((fleetJsonSchema() as Schema).properties ?? {}).flatMap(
  ([table, schema]) => {
    const block = BLOCKS[table];
    return block === undefined
      ? keysBelow(`CORTEX_${table.toUpperCase()}`, schema)
      : keysBelow(`CORTEX_${table.toUpperCase()}__${block}`, schema.items ?? {});
  },
);

test("there are variables for every table with keys of its own", () => {
  expect(variables.length).toBeGreaterThan(50);
});

test.each(variables)("%s overrides its key", (name, schema) => {
  const value = valueFor(schema);
  const text = typeof value === "string" ? value : tomlValue(value);
  const result = parseFleet([{ path: "fleet.toml", text: FLEET }], { [name]: text });
  const findings = result.ok ? [] : result.error;
  // An override may contradict the rest of the fleet; it must be read, and be allowed for itself.
  expect(findings.filter(({ code }) => ["CTX118", "CTX103", "CTX102"].includes(code))).toEqual([]);
  const said = JSON.stringify(value).replaceAll(/^\{|\}$/g, "");
  expect(result.ok ? JSON.stringify(result.value.fleet) : said).toContain(said);
});
