import { z } from "zod";

/**
 * The OpenAI inference shapes as a model worker speaks them: what it honours in a request, what it answers.
 * Which other request fields are ignored or refused is decided in openai-request.ts.
 */

const contentPartSchema = z.looseObject({ type: z.string(), text: z.string().optional() });
export type ContentPart = z.infer<typeof contentPartSchema>;

const toolCallSchema = z.looseObject({
  id: z.string().optional(),
  type: z.literal("function").default("function"),
  function: z.looseObject({ name: z.string().min(1), arguments: z.string().default("{}") }),
});

export const chatMessageSchema = z
  .looseObject({
    role: z.enum(["system", "developer", "user", "assistant", "tool"]),
    content: z.union([z.string(), z.array(contentPartSchema)]).nullish(),
    name: z.string().nullish(),
    tool_calls: z.array(toolCallSchema).nullish(),
    tool_call_id: z.string().nullish(),
    reasoning_content: z.string().nullish(),
  })
  .refine((message) => message.role === "assistant" || (message.content ?? undefined) !== undefined, {
    path: ["content"],
    message: "is missing",
  });
export type ChatMessage = z.infer<typeof chatMessageSchema>;

const jsonSchemaSchema = z.record(z.string(), z.unknown());

export const toolSchema = z.looseObject({
  type: z.literal("function"),
  function: z.looseObject({
    name: z.string().regex(/^[\w.:-]{1,128}$/, "is not a function name"),
    description: z.string().nullish(),
    parameters: jsonSchemaSchema.nullish(),
    /** Arguments must follow the schema to the letter; refused when the schema cannot be enforced. */
    strict: z.boolean().nullish(),
  }),
});
export type Tool = z.infer<typeof toolSchema>;

const toolChoiceSchema = z.union([
  z.enum(["none", "auto", "required"]),
  z.looseObject({ type: z.literal("function"), function: z.looseObject({ name: z.string() }) }),
]);

const responseFormatSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({
    type: z.literal("json_schema"),
    json_schema: z.looseObject({ schema: jsonSchemaSchema }),
  }),
]);

/** What steers generation; the same in chat and legacy completions. */
const generationFields = {
  model: z.string().min(1),
  temperature: z.number().min(0).max(5).optional(),
  top_p: z.number().min(0).max(1).optional(),
  /** 0 or below means no limit. */
  top_k: z.int().min(-1).optional(),
  min_p: z.number().min(0).max(1).optional(),
  seed: z.int().optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  /** 1 is off. `repeat_penalty` is another name for it. */
  repetition_penalty: z.number().positive().max(10).optional(),
  repeat_penalty: z.number().positive().max(10).optional(),
  /** Token id to logit bias; -100 rules the token out. */
  logit_bias: z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)).optional(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).optional(),
  max_tokens: z.int().nonnegative().optional(),
  /** Answers to each prompt, with seeds that count up from the request's. */
  n: z.int().min(1).max(128).default(1),
  /** Go on after an end-of-text token, up to the limit: for measurements. */
  ignore_eos: z.boolean().optional(),
  stream: z.boolean().default(false),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).optional(),
} as const;

export const chatRequestSchema = z.strictObject({
  ...generationFields,
  messages: z.array(chatMessageSchema).min(1),
  max_completion_tokens: z.int().nonnegative().optional(),
  response_format: responseFormatSchema.optional(),
  tools: z.array(toolSchema).optional(),
  tool_choice: toolChoiceSchema.optional(),
  parallel_tool_calls: z.boolean().default(true),
  /** How likely the model held each token of the content, before sampling settings and grammar had a say. */
  logprobs: z.boolean().optional(),
  /** The likeliest so many beside each. */
  top_logprobs: z.int().min(0).max(20).optional(),
  /** Reaches templates that know it; refused by models whose template does not. */
  reasoning_effort: z.string().optional(),
  /** Variables for the chat template, e.g. `enable_thinking`. */
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;

export const completionRequestSchema = z.strictObject({
  ...generationFields,
  prompt: z.union([
    z.string(),
    z.array(z.string()).min(1),
    z.array(z.int().nonnegative()),
    z.array(z.array(z.int().nonnegative()).min(1)).min(1),
  ]),
  /** Figures for each token, with the likeliest so many beside it. */
  logprobs: z.int().min(0).max(20).optional(),
  /** The prompt comes back in front of the text. */
  echo: z.boolean().optional(),
});
export type CompletionRequest = z.infer<typeof completionRequestSchema>;

export const embeddingsRequestSchema = z.strictObject({
  model: z.string().min(1),
  input: z.union([
    z.string(),
    z.array(z.string()).min(1),
    z.array(z.int().nonnegative()).min(1),
    z.array(z.array(z.int().nonnegative()).min(1)).min(1),
  ]),
  /** base64 is little-endian 32-bit floats. */
  encoding_format: z.enum(["float", "base64"]).default("float"),
  /** Only the model's own size is possible. */
  dimensions: z.int().positive().optional(),
});
export type EmbeddingsRequest = z.infer<typeof embeddingsRequestSchema>;

const usageSchema = z.looseObject({
  prompt_tokens: z.int().nonnegative(),
  completion_tokens: z.int().nonnegative(),
  total_tokens: z.int().nonnegative(),
  prompt_tokens_details: z.looseObject({ cached_tokens: z.int().nonnegative() }).optional(),
  completion_tokens_details: z.looseObject({ reasoning_tokens: z.int().nonnegative() }).optional(),
});
export type Usage = z.infer<typeof usageSchema>;

/** Measured by the worker for this request alone; milliseconds. */
const timingsSchema = z.looseObject({
  prompt_n: z.int().nonnegative(),
  prompt_ms: z.number(),
  prompt_per_second: z.number(),
  predicted_n: z.int().nonnegative(),
  predicted_ms: z.number(),
  predicted_per_second: z.number(),
  /** From the arrival of the request, waiting for a slot included. */
  time_to_first_token_ms: z.number(),
  /** Tokens that were guessed, and those of them that the model then wrote; absent where none were. */
  draft_n: z.int().nonnegative().optional(),
  draft_n_accepted: z.int().nonnegative().optional(),
});
export type Timings = z.infer<typeof timingsSchema>;

const likelyTokenSchema = z.looseObject({
  token: z.string(),
  logprob: z.number(),
  /** UTF-8; null where the token is no text of its own. */
  bytes: z.array(z.int()).nullable(),
});
/** Figures for each token of the content. */
const chatLogprobsSchema = z
  .looseObject({
    content: z.array(likelyTokenSchema.extend({ top_logprobs: z.array(likelyTokenSchema) })).nullable(),
  })
  .nullish();

const finishReasonSchema = z.enum(["stop", "length", "tool_calls"]);
export type FinishReason = z.infer<typeof finishReasonSchema>;

export const chatCompletionSchema = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      message: z.looseObject({
        role: z.literal("assistant"),
        content: z.string().nullable(),
        reasoning_content: z.string().optional(),
        tool_calls: z
          .array(
            z.looseObject({
              id: z.string(),
              type: z.literal("function"),
              function: z.looseObject({ name: z.string(), arguments: z.string() }),
            }),
          )
          .optional(),
      }),
      logprobs: chatLogprobsSchema,
      finish_reason: z.string(),
      /** The stop string that ended the answer, where one did. */
      stop_reason: z.string().optional(),
    }),
  ),
  usage: usageSchema,
  timings: timingsSchema.optional(),
});
export type ChatCompletion = z.infer<typeof chatCompletionSchema>;

export const chatCompletionChunkSchema = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      delta: z.looseObject({
        role: z.string().optional(),
        content: z.string().nullish(),
        reasoning_content: z.string().optional(),
        tool_calls: z
          .array(
            z.looseObject({
              index: z.int(),
              id: z.string().optional(),
              type: z.literal("function").optional(),
              function: z.looseObject({ name: z.string().optional(), arguments: z.string().optional() }),
            }),
          )
          .optional(),
      }),
      logprobs: chatLogprobsSchema,
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: usageSchema.nullish(),
  timings: timingsSchema.optional(),
});
export type ChatCompletionChunk = z.infer<typeof chatCompletionChunkSchema>;

/** A legacy completion; its stream carries the same shape. */
export const completionSchema = z.looseObject({
  id: z.string(),
  object: z.literal("text_completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      text: z.string(),
      logprobs: z
        .looseObject({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number()),
          top_logprobs: z.array(z.record(z.string(), z.number())),
          text_offset: z.array(z.int()),
        })
        .nullish(),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: usageSchema.nullish(),
  timings: timingsSchema.optional(),
});
export type Completion = z.infer<typeof completionSchema>;

export const embeddingsResponseSchema = z.looseObject({
  object: z.literal("list"),
  model: z.string(),
  data: z.array(
    z.looseObject({
      object: z.literal("embedding"),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  usage: z.looseObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
});
export type EmbeddingsResponse = z.infer<typeof embeddingsResponseSchema>;

/** `GET /health` of a worker. */
export const workerHealthSchema = z.object({
  status: z.literal("ok"),
  slots: z.int(),
  slots_busy: z.int(),
  slots_free: z.int(),
  queued: z.int(),
  max_queued: z.int(),
});
export type WorkerHealth = z.infer<typeof workerHealthSchema>;
