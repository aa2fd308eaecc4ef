import type { z } from "zod";
import type {
  evictionTableSchema,
  keyBlockSchema,
  modelBlockSchema,
  neuronBlockSchema,
} from "../../../fleet/schema/fleet-schema.ts";
import type { gatewayTableSchema } from "../../../fleet/schema/gateway-table.ts";

/** Something that fleet files cannot say, where it stood, and why. Never holds a secret. */
export interface ImportNote {
  readonly file: string;
  /** Counted from 1; null where there is no line, as in a neuron's answer. */
  readonly line: number | null;
  readonly what: string;
  readonly reason: string;
  /** Set where a whole model is left out: its name in the other system. */
  readonly lost_model?: string;
}

/** Blocks as a person would write them: what is left at its default is left out. */
export type WrittenModel = z.input<typeof modelBlockSchema>;
export type WrittenNeuron = z.input<typeof neuronBlockSchema>;
export type WrittenKey = z.input<typeof keyBlockSchema>;

export interface ImportedFleet {
  /** Fleets that the imported copies belong to. */
  readonly takesOver: readonly string[];
  readonly gateway: z.input<typeof gatewayTableSchema>;
  readonly eviction: z.input<typeof evictionTableSchema>;
  readonly neurons: readonly WrittenNeuron[];
  readonly models: readonly WrittenModel[];
  readonly aliases: Readonly<Record<string, string>>;
  readonly keys: readonly WrittenKey[];
  /** What could not be carried over. */
  readonly notes: readonly ImportNote[];
}

export const EMPTY_IMPORT: ImportedFleet = {
  takesOver: [],
  gateway: {},
  eviction: {},
  neurons: [],
  models: [],
  aliases: {},
  keys: [],
  notes: [],
};

/** An id as near to the given one as can be: without spaces, and none that is taken. Empty where nothing is left of it. */
export function modelId(wanted: string, taken: ReadonlySet<string>): string {
  const name = wanted.trim().replaceAll(/\s+/g, "-").slice(0, 250);
  if (name === "" || name === wanted) return name;
  let candidate = name;
  for (let number = 2; taken.has(candidate); number += 1) candidate = `${name}-${number}`;
  return candidate;
}

/** A name that `[[neurons]]` and `[[keys]]` take, as near to the given one as can be, and not taken yet. */
export function blockName(wanted: string, taken: ReadonlySet<string>): string {
  const cleaned = wanted
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replaceAll(/^[^A-Za-z0-9]+/g, "")
    .slice(0, 56);
  const name = cleaned === "" ? "unnamed" : cleaned;
  let candidate = name;
  for (let number = 2; taken.has(candidate); number += 1) candidate = `${name}-${number}`;
  return candidate;
}
