import { z } from "zod";
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
