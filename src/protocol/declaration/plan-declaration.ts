import { z } from "zod";

/* What a plan says of the settings that no neuron is asked for: aliases, addresses, keys, limits, models on demand. */

export const declaredFieldSchema = z.object({
  key: z.string().describe("of the setting: `context`, `limit.output`; empty for an alias"),
  from: z.string().nullable().describe("its value there; null when it is not set"),
  to: z.string().nullable().describe("its value in the files; null when it is not set"),
});

export const declaredChangeSchema = z.object({
  id: z.string().describe("unique: `aliases helexa/large`, `gateway`"),
  table: z
    .enum(["fleet", "gateway", "eviction", "ledger", "gitops", "neurons", "models", "keys", "aliases"])
    .describe("of the fleet files"),
  name: z.string().nullable().describe("of the block or alias; null for a table of settings"),
  kind: z.enum(["added", "removed", "changed", "renamed"]).describe("what became of it"),
  renamed_from: z.string().nullable().describe("its name there, when the same block has another name"),
  fields: z
    .array(declaredFieldSchema)
    .describe("what differs; of an added block only what tells most. A key's hash is never shown"),
  consequences: z.array(z.string()).describe("in words: what clients and operators will see of it"),
  exposes: z
    .boolean()
    .describe("somebody reaches more than before: a wider address, a new key, a wider or uncapped one"),
});
export type DeclaredChange = z.infer<typeof declaredChangeSchema>;

export const declarationSchema = z.object({
  compared_with: z
    .enum(["base", "gateway"])
    .nullable()
    .describe("`--base`; else what the running gateway serves; null when neither is known"),
  gateway: z.string().nullable().describe("base URL of the gateway that was asked; null when none was"),
  remark: z.string().nullable().describe("why nothing was compared, or what was left out, in words"),
  changes: z
    .array(declaredChangeSchema)
    .describe("every declared difference; the gateway acts on them, and apply does nothing for them"),
});
export type PlanDeclaration = z.infer<typeof declarationSchema>;
