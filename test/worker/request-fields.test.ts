import { describe, expect, test } from "vitest";
import { CortexError } from "../../src/core/errors.ts";
import {
  parseChatRequest,
  parseCompletionRequest,
  parseEmbeddingsRequest,
  parseRerankRequest,
} from "../../src/protocol/openai/request.ts";

// Every field of OpenAI's requests, and what becomes of it at a model worker. A field that would change the answer is
// honoured or refused by name; what is not in this table is refused.

type Fate = "honoured" | "refused" | "ignored";

const PARSERS = {
  chat: parseChatRequest,
  completion: parseCompletionRequest,
  embeddings: parseEmbeddingsRequest,
  rerank: parseRerankRequest,
} as const;
const BASE = {
  chat: { model: "m", messages: [{ role: "user", content: "hi" }] },
  completion: { model: "m", prompt: "hi" },
  embeddings: { model: "m", input: "hi" },
  rerank: { model: "m", query: "hi", documents: ["ho"] },
} as const;

function fateOf(kind: keyof typeof PARSERS, field: string, value: unknown): Fate {
  try {
    const parsed = PARSERS[kind]({ ...BASE[kind], [field]: value });
    return Object.hasOwn(parsed, field) ? "honoured" : "ignored";
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "unsupported_parameter" && thrown.param === field)
      return "refused";
    throw thrown;
  }
}

const SCHEMA = { type: "object", properties: { a: { type: "string" } } };
const TOOL = { type: "function", function: { name: "f", parameters: SCHEMA } };

const BOTH: readonly [string, unknown, Fate][] = [
  ["temperature", 0.2, "honoured"],
  ["top_p", 0.9, "honoured"],
  ["top_k", 20, "honoured"],
  ["min_p", 0.1, "honoured"],
  ["seed", 7, "honoured"],
  ["stop", ["a"], "honoured"],
  ["max_tokens", 5, "honoured"],
  ["presence_penalty", 1, "honoured"],
  ["frequency_penalty", 1, "honoured"],
  ["repetition_penalty", 1.1, "honoured"],
  ["repeat_penalty", 1.1, "honoured"],
  ["logit_bias", { "5": 1 }, "honoured"],
  ["stream", true, "honoured"],
  ["stream_options", { include_usage: true }, "honoured"],
  ["ignore_eos", true, "honoured"],
  ["user", "u", "ignored"],
  ["n", 1, "honoured"],
  ["n", 2, "honoured"],
  ["logprobs", false, "ignored"],
];

const CHAT: readonly [string, unknown, Fate][] = [
  ["max_completion_tokens", 5, "honoured"],
  ["response_format", { type: "json_object" }, "honoured"],
  ["response_format", { type: "json_schema", json_schema: { name: "x", schema: SCHEMA } }, "honoured"],
  ["tools", [TOOL], "honoured"],
  ["tool_choice", "required", "honoured"],
  ["parallel_tool_calls", false, "honoured"],
  ["reasoning_effort", "low", "honoured"],
  ["chat_template_kwargs", { enable_thinking: false }, "honoured"],
  ["logprobs", true, "honoured"],
  ["top_logprobs", 3, "honoured"],
  ["top_logprobs", 0, "honoured"],
  ["metadata", {}, "ignored"],
  ["store", false, "ignored"],
  ["service_tier", "auto", "ignored"],
  ["prompt_cache_key", "k", "ignored"],
  ["safety_identifier", "s", "ignored"],
  ["prediction", { type: "content", content: "x" }, "ignored"],
  ["modalities", ["text"], "ignored"],
  ["modalities", ["audio"], "refused"],
  ["audio", { voice: "x" }, "refused"],
  ["web_search_options", {}, "refused"],
  ["functions", [], "refused"],
  ["function_call", "auto", "refused"],
  ["verbosity", "high", "refused"],
];

const COMPLETION: readonly [string, unknown, Fate][] = [
  ["echo", true, "honoured"],
  ["suffix", "x", "refused"],
  ["suffix", "", "ignored"],
  ["best_of", 3, "refused"],
  ["logprobs", 2, "honoured"],
  ["logprobs", 0, "honoured"],
  ["best_of", 1, "ignored"],
];

const EMBEDDINGS: readonly [string, unknown, Fate][] = [
  ["input", ["a", "b"], "honoured"],
  ["input", [[1, 2], [3]], "honoured"],
  ["encoding_format", "base64", "honoured"],
  // The model's own size is; another is refused where the size is known.
  ["dimensions", 256, "honoured"],
  ["user", "u", "ignored"],
  ["input_type", "query", "refused"],
];

const RERANK: readonly [string, unknown, Fate][] = [
  ["documents", [{ text: "a" }, "b"], "honoured"],
  ["top_n", 2, "honoured"],
  ["return_documents", true, "honoured"],
  ["user", "u", "ignored"],
  ["max_chunks_per_doc", 3, "refused"],
  ["max_tokens_per_doc", 3, "refused"],
  ["rank_fields", ["a"], "refused"],
];

describe.each([
  ["chat", [...BOTH, ...CHAT]],
  ["completion", [...BOTH, ...COMPLETION]],
  ["embeddings", EMBEDDINGS],
  ["rerank", RERANK],
] as const)("%s", (kind, fields) => {
  test.each(fields)("%s: %j is %s", (field, value, fate) => {
    expect(fateOf(kind, field, value)).toBe(fate);
  });
});
