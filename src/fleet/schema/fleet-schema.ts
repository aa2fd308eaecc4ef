import { z } from "zod";
import { builtInEngineFields, externalEngineFields } from "./engine-fields.ts";
import { gatewayTableSchema } from "./gateway-table.ts";
import { gitopsTableSchema } from "./gitops-table.ts";
import { positiveInteger } from "./number-schemas.ts";
import { modelProbeTableSchema } from "./probe-table.ts";
import { baseUrl, exactUrl, modelId } from "./text-schemas.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");

const fleetName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be lower-case letters, digits and dashes, 63 at most");

/** With what tells its repository from this one's, where the names are the same. */
const otherFleetName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}(?:#(?:root|remote)-[0-9a-f]{12})?$/,
    "must be the name of a fleet, or name#mark as a plan calls one of another repository",
  );

export const fleetTableSchema = z
  .strictObject({
    name: fleetName
      .describe(
        "identity of the fleet: part of lock and history refs, and written on every copy that it has loaded. Fleets that share a neuron need names of their own",
      )
      .meta({ examples: ["home"] }),
    takes_over: z
      .array(otherFleetName)
      .default([])
      .describe(
        "other fleets whose loaded copies count as this one's: the former name after a rename; `name#mark`, as plans call a fleet of this name from another repository. Copies of any other fleet are left alone",
      )
      .meta({ examples: [["home-lab"]] }),
  })
  .describe("what the fleet is called");

export const evictionTableSchema = z
  .strictObject({
    strategy: z
      .enum(["lru", "priority", "cost"])
      .default("lru")
      .describe("which on-demand model gives way"),
    min_residency_secs: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .optional()
      .describe(
        "how long a copy stays, though others wait, while it has work of its own; absent: twice the measured load time of " +
          "the model that wants in, 2 s at least",
      )
      .meta({ examples: [30] }),
    drain_secs: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .default(30)
      .describe("how long the work in flight of a copy that gives way may take to end; it is never cut: after that the copy stays"),
    defrag_after_cycles: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .default(50)
      .describe("models that come and go beside a copy before it is loaded anew; it is when another copy stands in for it, or it had no work for 30 s, so that the memory of its devices lies in one piece again; 0 = never"),
  })
  .describe(
    "what gives way when an on-demand model needs memory",
  );

export const neuronBlockSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be letters, digits, dot, dash and underscore")
      .describe("how pins and plans call the machine")
      .meta({ examples: ["beast"] }),
    endpoint: baseUrl("http://beast.internal:13131").describe(
      "base URL of the neuron; its hardware is discovered, never configured",
    ),
    labels: z
      .record(z.string().min(1, "must not be empty"), z.string())
      .default({})
      .describe('free names and values, such as room = "rack-1"; shown, and decide nothing yet')
      .meta({ examples: [{ room: "rack-1" }] }),
    drain: z.boolean().default(false).describe("true: nothing new is placed here and residents move away"),
    weight: z
      .number()
      .positive("must be more than 0")
      .default(1)
      .describe("relative share of replicas when neurons are equal"),
  })
  .describe("one machine. Its hardware is discovered, never configured");

export const modelLimitTableSchema = z
  .strictObject({
    context: positiveInteger.describe("tokens of prompt and answer together").meta({ examples: [32_768] }),
    input: positiveInteger
      .optional()
      .describe("tokens of the prompt")
      .meta({ examples: [28_672] }),
    output: positiveInteger
      .optional()
      .describe("tokens of the answer")
      .meta({ examples: [4096] }),
  })
  .describe("what clients are told");

const usdPerMillion = z.number().nonnegative("must be 0 or more");

export const modelCostTableSchema = z
  .strictObject({
    input: usdPerMillion
      .default(0)
      .describe("prompt tokens")
      .meta({ examples: [0.5] }),
    output: usdPerMillion
      .default(0)
      .describe("answer tokens")
      .meta({ examples: [1.5] }),
    cache_read: usdPerMillion
      .optional()
      .describe("prompt tokens found in the prefix cache")
      .meta({ examples: [0.05] }),
    cache_write: usdPerMillion
      .optional()
      .describe("prompt tokens put into the prefix cache")
      .meta({ examples: [0.5] }),
  })
  .describe("USD per 1M tokens; absent = not priced, 0.0 = free on purpose");

export const modelBlockSchema = z
  .strictObject({
    id: modelId.describe("what clients ask for").meta({ examples: ["Qwen/Qwen3-8B"] }),
    source: z
      .string()
      .min(1, "must not be empty")
      .optional()
      .describe(
        "file:/absolute/path.gguf, hf:org/repo:TAG (or :file.gguf), https://host/file.gguf, or the name of a file in the " +
          "neurons' model store; hf: and https: are fetched at the first load; absent: the id names it",
      )
      .meta({ examples: ["file:/srv/models/qwen3-8b-q6_k.gguf"] }),
    revision: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, "must be a commit, a tag or a branch")
      .optional()
      .describe("commit, tag or branch of the hf: repository; a commit never changes under you")
      .meta({ examples: ["main"] }),
    quant: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "must be a tag such as Q4_K_M")
      .optional()
      .describe("which GGUF of the hf: repository, when `source` does not name it: Q4_K_M, Q6_K, ...")
      .meta({ examples: ["Q4_K_M"] }),
    sha256: sha256
      .optional()
      .describe("digest the file must have; sha256sum prints it. Of a model in parts: that of the first")
      .meta({ examples: ["0123456789abcdef".repeat(4)] }),
    harness: z
      .enum(["llama", "openai"])
      .default("llama")
      .describe(
        "engine: llama (built in), or openai: an external engine that speaks the OpenAI API (vLLM, SGLang, llama-server), " +
          "at `endpoint` or started by `command`",
      ),
    ...externalEngineFields,
    replicas: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .default(0)
      .describe("resident copies that apply keeps loaded; 0 = on demand only")
      .meta({ examples: [1] }),
    pinned_on: z
      .array(z.string())
      .default([])
      .describe("whitelist of neurons: affinity, not protection")
      .meta({ examples: [["beast"]] }),
    min_devices: positiveInteger
      .default(1)
      .describe("devices of one neuron that the model is spread over")
      .meta({ examples: [2] }),
    min_device_vram_mb: positiveInteger
      .optional()
      .describe("that many devices must have this total memory")
      .meta({ examples: [24_000] }),
    vram_mb: positiveInteger
      .optional()
      .describe("declared footprint; measured facts win once they exist")
      .meta({ examples: [8200] }),
    residency_priority: z
      .int("must be a whole number")
      .nonnegative("must be 0 or more")
      .optional()
      .describe("class: may displace its own and lower ones; default 100")
      .meta({ examples: [300] }),
    context: positiveInteger
      .optional()
      .describe("context per slot in tokens")
      .meta({ examples: [32_768] }),
    parallel: positiveInteger
      .max(256, "must be at most 256")
      .default(4)
      .describe("slots: requests decoded side by side"),
    ...builtInEngineFields,
    limit: modelLimitTableSchema.optional().meta({ examples: [{ context: 32_768 }] }),
    cost: modelCostTableSchema.optional().meta({ examples: [{ input: 0.5, output: 1.5 }] }),
    capabilities: z
      .array(z.string().min(1, "must not be empty"))
      .default([])
      .describe(
        "text, reasoning, embeddings, ...: used until the engine reports its own. An external engine is asked for `vision`, `audio`, `speech`, `transcription` and `images` only if they are declared",
      )
      .meta({ examples: [["text"]] }),
    idle_unload_secs: positiveInteger
      .optional()
      .describe("on-demand copies leave after this idle time")
      .meta({ examples: [900] }),
    protect: z.boolean().default(false).describe("apply refuses to unload it without --allow-protected"),
    probe: modelProbeTableSchema.optional().meta({ examples: [{ prompt: "The capital of France?", expect: "paris" }] }),
  })
  .describe("one model that the fleet offers");

const KEY_HASH = /^sha256:[0-9a-f]{64}$/;

export const keyWindowSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("balance").describe("counted from the key's first use and never forgotten"),
  }),
  z.strictObject({
    kind: z.literal("rolling").describe("counted over the last `seconds`"),
    seconds: positiveInteger.describe("length of the window").meta({ examples: [3600] }),
  }),
]);

export const keyBlockSchema = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be letters, digits, dot, dash and underscore")
      .describe("how logs, metrics and usage call the key")
      .meta({ examples: ["ci"] }),
    hash: z
      .string()
      .regex(KEY_HASH, "must be sha256: and 64 lower-case hexadecimal digits")
      .describe("SHA-256 of the secret: only hashes are in git"),
    models: z
      .array(z.string().regex(/^\S+$/, "must be a pattern without spaces, such as Qwen/*"))
      .min(1, "must name at least one model")
      .default(["*"])
      .describe("ids and aliases it may use; * stands for any characters, ? for one")
      .meta({ examples: [["Qwen/*"]] }),
    window: keyWindowSchema
      .default({ kind: "balance" })
      .describe("over which time usage counts against `hard_cap`")
      .meta({ examples: [{ kind: "rolling", seconds: 3600 }] }),
    hard_cap: positiveInteger
      .optional()
      .describe("tokens per window; absent = no cap")
      .meta({ examples: [5_000_000] }),
    requests_per_minute: positiveInteger
      .optional()
      .describe("requests begun within any minute; absent = no limit")
      .meta({ examples: [60] }),
    parallel_requests: positiveInteger
      .optional()
      .describe("requests under way at one time; absent = no limit")
      .meta({ examples: [8] }),
    role: z
      .enum(["client", "admin"])
      .default("client")
      .describe("admin: may also read /fleet, /fleet/events, /fleet/requests and /usage"),
  })
  .describe("one client: once a key is declared, the gateway serves nobody without one");

export const ledgerTableSchema = z
  .strictObject({
    url: exactUrl(/^rediss?$/, { name: "a Redis URL", example: "rediss://ledger.internal:6379/0" })
      .optional()
      .describe(
        "Redis that several gateways share; absent: a file in the gateway's data directory. No password here: " +
          "CORTEX_LEDGER__URL on the gateway's machine overrides it. Where it does not answer, requests of limited keys " +
          "are refused with 503 and all others served; what was counted meanwhile is sent when it is back. Redis 6.2 " +
          "or newer or Valkey, one server and no cluster; their clocks and the gateways' agree within a second or so. " +
          "Changes with a restart only",
      ),
  })
  .describe(
    "where usage is counted",
  );

/**
 * What an operator declares. Strict: an unknown key is an error, because a misspelt `pinned_on` that is ignored
 * costs more than one that is refused. Types are inferred from here; the JSON Schema for editors is generated.
 */
export const fleetSchema = z.strictObject({
  fleet: fleetTableSchema,
  gateway: gatewayTableSchema.prefault({}),
  eviction: evictionTableSchema.prefault({}),
  ledger: ledgerTableSchema.prefault({}),
  gitops: gitopsTableSchema.prefault({}),
  neurons: z.array(neuronBlockSchema).default([]),
  models: z.array(modelBlockSchema).default([]),
  keys: z.array(keyBlockSchema).default([]),
  aliases: z
    .record(modelId, z.string().meta({ examples: ["Qwen/Qwen3-8B"] }))
    .default({})
    .describe("other names for models: one step, no chains"),
});

/** `residency_priority` of a block that does not say. */
export const DEFAULT_RESIDENCY_PRIORITY = 100;

export type Fleet = Readonly<z.infer<typeof fleetSchema>>;
export type NeuronBlock = z.infer<typeof neuronBlockSchema>;
export type ModelBlock = z.infer<typeof modelBlockSchema>;
export type KeyBlock = z.infer<typeof keyBlockSchema>;
