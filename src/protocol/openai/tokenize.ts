import { z } from "zod";
import { chatMessageSchema, toolSchema } from "./chat.ts";

/**
 * `POST /v1/tokenize`, `/v1/detokenize` and `/v1/count_tokens`: a text, or a conversation as the model's template
 * writes it, in the tokens of the model. OpenAI has no such routes; the shapes are vLLM's.
 */
export const tokenizeRequestSchema = z.strictObject({
  model: z.string().min(1),
  /** A text alone; control texts in it are text. */
  prompt: z.string().optional(),
  messages: z.array(chatMessageSchema).min(1).optional(),
  tools: z.array(toolSchema).optional(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
});
export type TokenizeRequest = z.infer<typeof tokenizeRequestSchema>;

export const countTokensResponseSchema = z.looseObject({
  model: z.string(),
  count: z.int().nonnegative(),
  /** Tokens that one slot of the model holds, answer included. */
  max_model_len: z.int().positive(),
});
export type CountTokensResponse = z.infer<typeof countTokensResponseSchema>;

export const tokenizeResponseSchema = countTokensResponseSchema.extend({
  tokens: z.array(z.int().nonnegative()),
});
export type TokenizeResponse = z.infer<typeof tokenizeResponseSchema>;

export const detokenizeRequestSchema = z.strictObject({
  model: z.string().min(1),
  tokens: z.array(z.int().nonnegative()),
});
export type DetokenizeRequest = z.infer<typeof detokenizeRequestSchema>;

export const detokenizeResponseSchema = z.looseObject({
  model: z.string(),
  /** The text of the tokens, control tokens by their names. */
  prompt: z.string(),
});
export type DetokenizeResponse = z.infer<typeof detokenizeResponseSchema>;
