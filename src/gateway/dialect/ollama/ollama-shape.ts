import { z } from "zod";

/**
 * Requests of Ollama's API. Only what is translated is looked at: unknown fields and options that belong to a machine
 * (`num_ctx`, `num_gpu`) are tolerated, since clients send them to everybody; the fleet files say them here.
 */
const optionsSchema = z.looseObject({
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.int().nullish(),
  min_p: z.number().nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  num_predict: z.int().nullish(),
  repeat_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  /** Ways to sample that no engine here has. */
  mirostat: z.number().nullish(),
  typical_p: z.number().nullish(),
  tfs_z: z.number().nullish(),
});
export type Options = z.infer<typeof optionsSchema>;

const sharedFields = {
  model: z.string().min(1),
  options: optionsSchema.nullish(),
  /** A wish: how long a model stays is said by the fleet files. */
  keep_alive: z.union([z.number(), z.string()]).nullish(),
} as const;

const generationFields = {
  ...sharedFields,
  /** Streamed unless it is said otherwise. */
  stream: z.boolean().nullish(),
  format: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  think: z.union([z.boolean(), z.string()]).nullish(),
  logprobs: z.boolean().nullish(),
} as const;

const callSchema = z.looseObject({
  id: z.string().nullish(),
  function: z.looseObject({
    name: z.string(),
    arguments: z.union([z.record(z.string(), z.unknown()), z.string()]).nullish(),
  }),
});

const messageSchema = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  tool_calls: z.array(callSchema).nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});
export type OllamaMessage = z.infer<typeof messageSchema>;

const toolSchema = z.looseObject({ function: z.looseObject({ name: z.string() }) });

export const chatSchema = z.looseObject({
  ...generationFields,
  messages: z.array(messageSchema).nullish(),
  tools: z.array(toolSchema).nullish(),
});
export type OllamaChat = z.infer<typeof chatSchema>;

export const generateSchema = z.looseObject({
  ...generationFields,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  raw: z.boolean().nullish(),
  template: z.string().nullish(),
  suffix: z.string().nullish(),
  context: z.array(z.number()).nullish(),
});
export type OllamaGenerate = z.infer<typeof generateSchema>;

export const embedSchema = z.looseObject({
  ...sharedFields,
  input: z.union([z.string(), z.array(z.string())]),
  dimensions: z.int().positive().nullish(),
});

export const embeddingsSchema = z.looseObject({ ...sharedFields, prompt: z.string() });

/** `POST /api/show`, and the management calls: `name` is what the field was called before. */
export const namedModelSchema = z
  .looseObject({ model: z.string().optional(), name: z.string().optional() })
  .transform(({ model, name }) => ({ model: model ?? name ?? "" }));
