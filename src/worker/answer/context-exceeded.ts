import { CortexError } from "../../core/errors.ts";

/**
 * In OpenAI's words: agents look for "maximum context length is N tokens" to know that they have to shorten the
 * conversation, and show any other wording to a person instead.
 */
export function contextExceeded(found: {
  readonly param: string;
  readonly promptTokens: number;
  readonly contextTokens: number;
}): CortexError {
  const { param, promptTokens, contextTokens } = found;
  const limit = `This model's maximum context length is ${contextTokens} tokens`;
  const message =
    param === "messages"
      ? `${limit}. However, your messages resulted in ${promptTokens} tokens. Please reduce the length of the messages.`
      : `${limit}, however you requested ${promptTokens} tokens in your prompt. Please reduce your prompt.`;
  return new CortexError("context_length_exceeded", message, {
    param,
    details: {
      prompt_tokens: promptTokens,
      // One is kept for the answer.
      max_prompt_tokens: contextTokens - 1,
      context_tokens: contextTokens,
    },
  });
}
