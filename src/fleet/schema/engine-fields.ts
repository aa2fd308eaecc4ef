import { z } from "zod";
import { KV_CACHE_TYPES } from "./kv-cache-types.ts";
import { positiveInteger } from "./number-schemas.ts";
import { baseUrl, modelId } from "./text-schemas.ts";

/** Of a model with `harness = "openai"`: which engine holds it, and how it is found or started. */
export const externalEngineFields = {
  endpoint: baseUrl("http://127.0.0.1:8000")
    .optional()
    .describe("harness openai: base URL of the engine as its neuron reaches it, without /v1"),
  served_as: modelId
    .optional()
    .describe("harness openai: what the engine calls the model; absent: the id")
    .meta({ examples: ["qwen3-8b"] }),
  token_file: z
    .string()
    .regex(/^\//, "must be an absolute path")
    .optional()
    .describe(
      "harness openai: file on the neuron with the engine's bearer token; the token itself stays out of git",
    )
    .meta({ examples: ["/etc/cortex/engine.token"] }),
  command: z
    .array(z.string().max(4096, "must be at most 4096 characters"))
    .min(1, "must name a program")
    .max(256, "must be at most 256 words")
    .optional()
    .describe(
      "harness openai: program and arguments that start the engine, run without a shell; ${PORT} stands for the port " +
        "that the neuron chooses. The neuron must allow the program: `cortex neuron --engine PATH`",
    )
    .meta({ examples: [["vllm", "serve", "Qwen/Qwen3-8B", "--host", "127.0.0.1", "--port", "${PORT}"]] }),
  health_path: z
    .string()
    .regex(/^\/\S*$/, "must be a path such as /health")
    .optional()
    .describe(
      "harness openai: path of the engine that answers 200 once it is ready; absent: /health, else /v1/models",
    )
    .meta({ examples: ["/health"] }),
  start_timeout_secs: positiveInteger
    .max(86_400, "must be at most a day")
    .optional()
    .describe("harness openai: how long the engine may take until it is ready; absent: 600 by `command`, 30 at `endpoint`")
    .meta({ examples: [1200] }),
};

const adapter = z.strictObject({
  source: z
    .string()
    .min(1, "must not be empty")
    .describe("GGUF file of the adapter, named like the source of a model")
    .meta({ examples: ["file:/srv/models/support-lora.gguf"] }),
  scale: z
    .number()
    .min(-10, "must be -10 or more")
    .max(10, "must be at most 10")
    .default(1)
    .describe("how much of it is put on the model"),
});

/** How the built-in engine computes a model. */
export const builtInEngineFields = {
  threads: positiveInteger
    .max(1024, "must be at most 1024")
    .optional()
    .describe("CPU threads that compute it; absent: the worker tries on real steps, and the neuron remembers")
    .meta({ examples: [8] }),
  kv_cache_type: z
    .enum(KV_CACHE_TYPES)
    .optional()
    .describe("how the cache keeps keys and values; absent: f16. q8_0 takes half of its memory")
    .meta({ examples: ["q8_0"] }),
  flash_attention: z
    .boolean()
    .optional()
    .describe("computes attention without its large buffer; absent: the engine decides")
    .meta({ examples: [true] }),
  swa_full: z
    .boolean()
    .optional()
    .describe("keeps all tokens in layers that look back only so far, so that a conversation can be cut and gone on with")
    .meta({ examples: [true] }),
  batch_size: z
    .int("must be a whole number")
    .min(32, "must be 32 or more")
    .max(16_384, "must be at most 16384")
    .optional()
    .describe("tokens of prompts that a step computes at most; absent: 512, or what the worker found better by trying")
    .meta({ examples: [1024] }),
  lora: z
    .array(adapter)
    .min(1, "must name at least one adapter; leave `lora` out for none")
    .max(16, "must be at most 16 adapters")
    .optional()
    .describe("LoRA adapters that are put on the model, all at once and for every request")
    .meta({ examples: [[{ source: "file:/srv/models/support-lora.gguf", scale: 0.8 }]] }),
  draft: z
    .string()
    .min(1, "must not be empty")
    .optional()
    .describe("source of a small model of the same vocabulary that guesses tokens; right ones are kept, so the answers stay the same")
    .meta({ examples: ["hf:Qwen/Qwen3-0.6B-GGUF:Q8_0"] }),
  prompt_lookup: z
    .boolean()
    .optional()
    .describe("guesses that a text goes on as it did where its last tokens stood before; the answers stay the same")
    .meta({ examples: [true] }),
};
