import type { z } from "zod";
import {
  keyBlockSchema,
  modelBlockSchema,
  neuronBlockSchema,
  type Fleet,
  type KeyBlock,
  type ModelBlock,
  type NeuronBlock,
} from "../schema/fleet-schema.ts";
import { isTable, type MergedFleetDocument } from "./merge-fleet-files.ts";
import type { KeyPath } from "../../core/key-path.ts";

/** A block as far as it can be read: its name even when something else in it is wrong. */
export interface Declared<Block> {
  readonly path: KeyPath;
  readonly name: string | undefined;
  /** What remains when keys with findings of their own are left out; undefined when it cannot do without them. */
  readonly block: Block | undefined;
}

/**
 * What the semantic checks look at. A block that the schema refuses still counts without its wrong keys, and at least
 * with its name: a wrong number must neither hide the other mistakes of its block nor make every pin to its neuron
 * an "unknown neuron". All findings come at once, and only real ones.
 */
export interface DeclaredFleet {
  readonly neurons: readonly Declared<NeuronBlock>[];
  readonly models: readonly Declared<ModelBlock>[];
  readonly keys: readonly Declared<KeyBlock>[];
  readonly aliases: readonly { readonly path: KeyPath; readonly alias: string; readonly target: string }[];
}

/** `fleet`: the document as the schema read it, where it refused nothing. */
export function declaredBlocks(merged: MergedFleetDocument, fleet: Fleet | undefined): DeclaredFleet {
  const { aliases } = merged.document;
  return {
    neurons: readBlocks(
      merged.document["neurons"],
      { table: "neurons", nameKey: "name" },
      (raw, index) => fleet?.neurons[index] ?? readLeniently(neuronBlockSchema, raw),
    ),
    models: readBlocks(
      merged.document["models"],
      { table: "models", nameKey: "id" },
      (raw, index) => fleet?.models[index] ?? readLeniently(modelBlockSchema, raw),
    ),
    keys: readBlocks(
      merged.document["keys"],
      { table: "keys", nameKey: "id" },
      (raw, index) => fleet?.keys[index] ?? readLeniently(keyBlockSchema, raw),
    ),
    aliases: Object.entries(isTable(aliases) ? aliases : {}).flatMap(([alias, target]) =>
      typeof target === "string" ? [{ path: ["aliases", alias], alias, target }] : [],
    ),
  };
}

function readBlocks<Block>(
  blocks: unknown,
  names: { readonly table: string; readonly nameKey: string },
  check: (raw: unknown, index: number) => Block | undefined,
): Declared<Block>[] {
  if (!Array.isArray(blocks)) return [];
  return blocks.map((raw: unknown, index) => {
    const name = isTable(raw) ? raw[names.nameKey] : undefined;
    return {
      path: [names.table, index],
      name: typeof name === "string" ? name : undefined,
      block: check(raw, index),
    };
  });
}

/** Leaves out the keys that the schema refuses. */
function readLeniently<Block>(schema: z.ZodType<Block>, raw: unknown): Block | undefined {
  const checked = schema.safeParse(raw);
  if (checked.success) return checked.data;
  if (!isTable(raw)) return undefined;
  const wrong = new Set(
    checked.error.issues.flatMap((issue) =>
      issue.code === "unrecognized_keys" && issue.path.length === 0 ? issue.keys : [String(issue.path[0])],
    ),
  );
  const rest = schema.safeParse(Object.fromEntries(Object.entries(raw).filter(([key]) => !wrong.has(key))));
  return rest.success ? rest.data : undefined;
}

/** What the semantic checks work on. */
export interface CheckContext {
  readonly declared: DeclaredFleet;
  readonly merged: MergedFleetDocument;
}

/** The names of blocks, those with other mistakes among them. */
export const namesOf = (blocks: readonly Declared<unknown>[]): string[] =>
  blocks.flatMap(({ name }) => (name === undefined ? [] : [name]));
