import { z } from "zod";

/**
 * What an operator declares. Strict: an unknown key is an error, because a misspelt `pinned_on` that is ignored
 * costs more than one that is refused. Types are inferred from here; the JSON Schema for editors is generated.
 */
const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$/, "must be host:port, such as 127.0.0.1:31313");

const modelId = z
  .string()
  .min(1, "must not be empty")
  .max(256, "must be at most 256 characters long")
  .regex(/^\S+$/, "must not contain spaces");

const positiveInteger = z.int("must be a whole number").positive("must be more than 0");

const httpEndpoint = z
  .url({ protocol: /^https?$/, error: "must be a base URL, such as http://beast.internal:13131" })
  .transform((value) => value.replace(/\/+$/, ""));

export const fleetTableSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be lower-case letters, digits and dashes")
    .describe("identity of the fleet: part of lock and history refs"),
});

export const gatewayTableSchema = z.strictObject({
  listen: listenAddress.default("127.0.0.1:31313").describe("where clients connect"),
  metrics_listen: listenAddress.default("127.0.0.1:31314").describe("where Prometheus scrapes"),
});

export const evictionTableSchema = z.strictObject({
  strategy: z.enum(["lru", "priority", "cost"]).default("lru").describe("which on-demand model gives way"),
  defrag_after_cycles: z
    .int("must be a whole number")
    .nonnegative("must be 0 or more")
    .default(50)
    .describe("load and unload cycles before a neuron is defragmented; 0 = never"),
});

export const neuronBlockSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be letters, digits, dot, dash and underscore")
    .describe("how pins and plans call the machine"),
  endpoint: httpEndpoint.describe("base URL of the neuron; its hardware is discovered, never configured"),
  labels: z.record(z.string(), z.string()).default({}).describe("free labels"),
  drain: z.boolean().default(false).describe("true: nothing new is placed here and residents move away"),
  weight: z
    .number()
    .positive("must be more than 0")
    .default(1)
    .describe("relative share of replicas when neurons are equal"),
});

export const modelLimitTableSchema = z.strictObject({
  context: positiveInteger,
  input: positiveInteger.optional(),
  output: positiveInteger.optional(),
});

export const modelCostTableSchema = z.strictObject({
  input: z.number().nonnegative("must be 0 or more").default(0),
  output: z.number().nonnegative("must be 0 or more").default(0),
  cache_read: z.number().nonnegative("must be 0 or more").optional(),
  cache_write: z.number().nonnegative("must be 0 or more").optional(),
});

export const modelBlockSchema = z.strictObject({
  id: modelId.describe("what clients ask for"),
  source: z
    .string()
    .min(1, "must not be empty")
    .optional()
    .describe("file:<path>, or the name of a file in the neurons' model store; absent: the id names it"),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits")
    .optional()
    .describe("digest the file must have"),
  harness: z.enum(["llama"]).default("llama").describe("engine"),
  replicas: z
    .int("must be a whole number")
    .nonnegative("must be 0 or more")
    .default(0)
    .describe("resident copies that apply keeps loaded; 0 = on demand only"),
  pinned_on: z.array(z.string()).default([]).describe("whitelist of neurons: affinity, not protection"),
  min_devices: positiveInteger.default(1).describe("devices of one neuron that the model is spread over"),
  min_device_vram_mb: positiveInteger.optional().describe("that many devices must have this total memory"),
  vram_mb: positiveInteger.optional().describe("declared footprint; measured facts win once they exist"),
  residency_priority: z
    .int("must be a whole number")
    .nonnegative("must be 0 or more")
    .optional()
    .describe("class; default 100"),
  context: positiveInteger.optional().describe("context per slot in tokens"),
  parallel: positiveInteger
    .max(256, "must be at most 256")
    .default(4)
    .describe("slots: requests decoded side by side"),
  limit: modelLimitTableSchema.optional().describe("what clients are told"),
  cost: modelCostTableSchema
    .optional()
    .describe("USD per 1M tokens; absent = not priced, 0.0 = free on purpose"),
  capabilities: z.array(z.string()).default([]).describe("used until the engine reports its own"),
  idle_unload_secs: positiveInteger.optional().describe("on-demand copies leave after this idle time"),
  protect: z.boolean().default(false).describe("apply refuses to unload it without --allow-protected"),
});

export const fleetSchema = z.strictObject({
  fleet: fleetTableSchema,
  gateway: gatewayTableSchema.prefault({}),
  eviction: evictionTableSchema.prefault({}),
  neurons: z.array(neuronBlockSchema).default([]),
  models: z.array(modelBlockSchema).default([]),
  aliases: z.record(modelId, z.string()).default({}).describe("one step, no chains"),
});

/** A setting that stands alone: what an environment variable can name. */
export interface ScalarSetting {
  readonly table: string;
  readonly key: string;
  readonly isNumber: boolean;
}

const scalarSettings = (table: string, shape: Readonly<Record<string, z.ZodType>>): ScalarSetting[] =>
  Object.entries(shape).map(([key, schema]) => ({ table, key, isNumber: isNumberSchema(schema) }));

const isNumberSchema = (schema: unknown): boolean =>
  schema instanceof z.ZodDefault ? isNumberSchema(schema.unwrap()) : schema instanceof z.ZodNumber;

export const SCALAR_SETTINGS: readonly ScalarSetting[] = [
  ...scalarSettings("fleet", fleetTableSchema.shape),
  ...scalarSettings("gateway", gatewayTableSchema.shape),
  ...scalarSettings("eviction", evictionTableSchema.shape),
];

/** `residency_priority` of a block that does not say. */
export const DEFAULT_RESIDENCY_PRIORITY = 100;

export type Fleet = Readonly<z.infer<typeof fleetSchema>>;
export type NeuronBlock = z.infer<typeof neuronBlockSchema>;
export type ModelBlock = z.infer<typeof modelBlockSchema>;
