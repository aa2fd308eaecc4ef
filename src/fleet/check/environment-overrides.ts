import { parse, TomlError } from "smol-toml";
import { nearest } from "../../core/nearest.ts";
import { by } from "../../core/order.ts";
import { diagnostic, type Diagnostic } from "../text/diagnostics.ts";
import { fleetSchema } from "../schema/fleet-schema.ts";
import { environmentPlace, isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import { keysOf, schemaAt, wantsText } from "../schema/schema-shape.ts";
import type { KeyPath } from "../../core/key-path.ts";

/**
 * `CORTEX_GATEWAY__LISTEN=127.0.0.1:8080` sets `listen` in `[gateway]` for one machine: `__` nests. A block is named
 * by what it is called, with every run of other characters as one `_`: `CORTEX_NEURONS__BEAST__DRAIN=true`,
 * `CORTEX_MODELS__QWEN_QWEN3_8B__REPLICAS=2`. Text stands for itself where the schema wants text; anything else is
 * a TOML value. An override that hits nothing is an error: a machine that silently ignores its own setting is found
 * out too late.
 */
const PREFIX = "CORTEX_";

/** Tables of blocks, with the key that names a block. */
const BLOCK_NAMES: Readonly<Record<string, string>> = { neurons: "name", models: "id", keys: "id" };

const TABLES = keysOf(fleetSchema);
const PLAIN_TABLES = TABLES.filter((table) => keysOf(schemaAt(fleetSchema, [table])).length > 0);

const PLAIN_VARIABLES = PLAIN_TABLES.flatMap((table) =>
  keysOf(schemaAt(fleetSchema, [table])).map((key) => `${PREFIX}${upper(table)}__${upper(key)}`),
);

/** A name as a variable spells it. */
function upper(name: string): string {
  return name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, "_")
    .replaceAll(/^_|_$/g, "");
}

/** A variable that a person meant as an override: `__` nests, and a single `_` in its place is a slip. */
function looksLikeOverride(name: string): boolean {
  if (!name.startsWith(PREFIX)) return false;
  if (name.slice(PREFIX.length).includes("__")) return true;
  return PLAIN_VARIABLES.some((known) => known.replace("__", "_") === name);
}

/** Applies the variables to the merged document; they win over the files. */
export function applyOverrides(
  merged: MergedFleetDocument,
  variables: Readonly<Record<string, string>>,
): Diagnostic[] {
  const findings: Diagnostic[] = [];
  const overrides = Object.entries(variables).filter(([name]) => looksLikeOverride(name));
  for (const [name, text] of overrides.toSorted(by(([name]) => name))) {
    const target = findTarget(merged, name.slice(PREFIX.length).split("__"));
    if (target.kind === "nothing") findings.push(unknownOverride({ name, text }, target.help));
    else merged.override(target.path, { name, text, value: readValue(target.path, text) });
  }
  return findings;
}

/** What the variables decide, each setting by the name of its block: "models.Qwen/Qwen3-8B.replicas". */
export const overriddenSettings = (merged: MergedFleetDocument): string[] =>
  merged.overriddenPaths().map((path) => {
    const [table = "", index, ...rest] = path;
    const nameKey = BLOCK_NAMES[table];
    if (nameKey === undefined || index === undefined) return path.join(".");
    return [table, merged.valueAt([table, index, nameKey]), ...rest].join(".");
  });

type Target =
  | { readonly kind: "path"; readonly path: KeyPath }
  | { readonly kind: "nothing"; readonly help: string | undefined };

const nothing = (help?: string): Target => ({ kind: "nothing", help });

function findTarget(merged: MergedFleetDocument, parts: readonly string[]): Target {
  const [first = "", second = "", ...rest] = parts;
  const table = TABLES.find((candidate) => upper(candidate) === first);
  if (table === undefined) return nothing();
  const nameKey = BLOCK_NAMES[table];
  if (nameKey !== undefined) {
    return findInBlock(merged, { table, nameKey, blockPart: second, keyParts: rest });
  }
  if (table === "aliases") return findAlias(merged, parts.slice(1));
  return findKey([table], [second, ...rest]);
}

interface BlockQuery {
  readonly table: string;
  readonly nameKey: string;
  readonly blockPart: string;
  readonly keyParts: readonly string[];
}

function findInBlock(merged: MergedFleetDocument, query: BlockQuery): Target {
  const { table, nameKey, blockPart, keyParts } = query;
  const blocks = merged.valueAt([table]);
  const declared = (Array.isArray(blocks) ? (blocks as readonly unknown[]) : []).map((block) =>
    isTable(block) ? block[nameKey] : undefined,
  );
  const matching = declared.flatMap((name, index) =>
    typeof name === "string" && upper(name) === blockPart ? [index] : [],
  );
  const [index] = matching;
  if (matching.length > 1) {
    const names = matching.map((at) => String(declared[at])).join(" and ");
    return nothing(`${blockPart} stands for ${names}; change the files instead`);
  }
  if (index === undefined || keyParts.length === 0) {
    const names = declared.flatMap((name) => (typeof name === "string" ? [upper(name)] : []));
    const form = `write ${PREFIX}${upper(table)}__<${upper(nameKey)}>__<KEY>`;
    const meant = nearest(blockPart, names);
    return nothing(
      meant === undefined || index !== undefined
        ? `${form}; declared: ${names.join(", ") || "none"}`
        : `did you mean ${PREFIX}${upper(table)}__${[meant, ...keyParts].join("__")}?`,
    );
  }
  return findKey([table, index], keyParts);
}

function findAlias(merged: MergedFleetDocument, parts: readonly string[]): Target {
  const aliases = merged.valueAt(["aliases"]);
  const names = isTable(aliases) ? Object.keys(aliases) : [];
  const matching = names.filter((name) => upper(name) === parts.join("__"));
  const [alias] = matching;
  if (alias === undefined || matching.length > 1) return nothing("only aliases of the files can be moved");
  return { kind: "path", path: ["aliases", alias] };
}

/** Follows the schema, so that a key is found in whatever case the variable has it. */
function findKey(from: KeyPath, parts: readonly string[]): Target {
  let path = from;
  for (const part of parts) {
    const key = keysOf(schemaAt(fleetSchema, path)).find((candidate) => upper(candidate) === part);
    if (key === undefined) return nothing(meantKey(path, part));
    path = [...path, key];
  }
  return parts.length === 0 ? nothing() : { kind: "path", path };
}

function meantKey(path: KeyPath, part: string): string | undefined {
  const known = keysOf(schemaAt(fleetSchema, path)).map(upper);
  if (path.length === 1) return undefined;
  const meant = nearest(part, known);
  return meant === undefined ? `keys there: ${known.join(", ")}` : `did you mean ${meant}?`;
}

function readValue(path: KeyPath, text: string): unknown {
  if (wantsText(schemaAt(fleetSchema, path))) return text;
  try {
    const document = parse(`value = ${text}\n`);
    // A line break in the variable could start keys of its own.
    return Object.keys(document).length === 1 ? document["value"] : text;
  } catch (thrown) {
    if (thrown instanceof TomlError) return text;
    throw thrown;
  }
}

function unknownOverride(
  variable: { readonly name: string; readonly text: string },
  help?: string,
): Diagnostic {
  const { name, text } = variable;
  const meant = nearest(name, PLAIN_VARIABLES);
  const suggestion =
    meant === undefined
      ? `settings that can be overridden: ${PLAIN_VARIABLES.join(", ")}, and keys of blocks (CORTEX_NEURONS__<NAME>__DRAIN)`
      : `did you mean ${meant}?`;
  return diagnostic({
    code: "CTX118",
    at: environmentPlace(name, text),
    message: `${name} overrides nothing: the fleet files have no such setting`,
    help: help ?? suggestion,
  });
}
