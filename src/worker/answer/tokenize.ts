import { CortexError } from "../../core/errors.ts";
import type { DetokenizeRequest, TokenizeRequest } from "../../protocol/openai/tokenize.ts";
import type { InferenceEngine } from "../engine/inference-engine.ts";

/** The tokens of a text, or of a conversation with its tools. */
export function tokensOf(request: TokenizeRequest, engine: InferenceEngine): readonly number[] {
  if ((request.prompt === undefined) === (request.messages === undefined)) {
    throw new CortexError("invalid_request_body", "exactly one of `prompt` and `messages` is counted", {
      param: request.prompt === undefined ? "messages" : "prompt",
    });
  }
  if (request.prompt !== undefined) return engine.tokenizer.text(request.prompt);
  const prompt = engine.renderer.render({
    messages: request.messages ?? [],
    tools: request.tools ?? [],
    variables: request.chat_template_kwargs ?? {},
  });
  return engine.tokenizer.prompt(prompt);
}

export function textOfTokens({ tokens }: DetokenizeRequest, engine: InferenceEngine): string {
  const stranger = tokens.find((token) => token >= engine.vocabularySize);
  if (stranger === undefined) return engine.tokenizer.textOf(tokens);
  throw new CortexError("invalid_request_body", `\`tokens\`: ${stranger} is not a token of this model`, {
    param: "tokens",
  });
}
