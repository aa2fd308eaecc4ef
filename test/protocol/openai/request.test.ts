import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import {
  FIELDS_WITHOUT_EFFECT,
  parseChatRequest,
  parseCompletionRequest,
  parseEmbeddingsRequest,
} from "../../../src/protocol/openai/request.ts";

const base = { model: "m", messages: [{ role: "user", content: "hi" }] };
const failure = (run: () => unknown): readonly [string, string | undefined] | undefined => {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof CortexError) return [thrown.code, thrown.param];
    throw thrown;
  }
  return undefined;
};
const chatFailure = (fields: object) => failure(() => parseChatRequest({ ...base, ...fields }));

describe("chat requests", () => {
  test("fields without effect are ignored, whatever they hold", () => {
    const extras = Object.fromEntries(FIELDS_WITHOUT_EFFECT.map((field) => [field, { any: 1 }]));
    expect(parseChatRequest({ ...base, ...extras })).toEqual(parseChatRequest(base));
  });

  test("null means not given", () => {
    expect(parseChatRequest({ ...base, stop: null, tools: null, temperature: null, logprobs: null })).toEqual(
      parseChatRequest(base),
    );
  });

  test.each([{ n: 1 }, { logprobs: false }, { modalities: ["text"] }, { verbosity: "medium" }])(
    "%j asks for nothing",
    (fields) => {
      expect(parseChatRequest({ ...base, ...fields })).toEqual(parseChatRequest(base));
    },
  );

  test.each([
    [{ audio: { voice: "x" } }, "audio"],
    [{ modalities: ["text", "audio"] }, "modalities"],
    [{ functions: [] }, "functions"],
    [{ web_search_options: {} }, "web_search_options"],
    [{ some_new_field: 1 }, "some_new_field"],
  ])("%j is refused by name", (fields, param) => {
    expect(chatFailure(fields)).toEqual(["unsupported_parameter", param]);
  });

  test.each([
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "robot", content: "hi" }] }, "messages.0.role"],
    [{ messages: [{ role: "user" }] }, "messages.0.content"],
    [{ temperature: "hot" }, "temperature"],
    [{ max_tokens: -1 }, "max_tokens"],
    [{ stop: 3 }, "stop"],
    [{ tools: [{ type: "function", function: { name: "no spaces" } }] }, "tools.0.function.name"],
    [{ response_format: { type: "xml" } }, "response_format.type"],
  ])("%j is invalid at %s", (fields, param) => {
    expect(chatFailure(fields)).toEqual(["invalid_request_body", param]);
  });

  test("a request without a model, and one that is no object", () => {
    expect(failure(() => parseChatRequest({ messages: base.messages }))).toEqual([
      "missing_model_field",
      "model",
    ]);
    expect(failure(() => parseChatRequest([base]))).toEqual(["invalid_request_body", undefined]);
  });

  test("messages keep the fields that templates may read", () => {
    const messages = [{ role: "assistant", content: null, reasoning_content: "hm", custom: 1 }];
    expect(parseChatRequest({ ...base, messages }).messages).toEqual(messages);
  });
});

describe("other requests", () => {
  test.each([
    [{ prompt: "a" }, undefined],
    [{ prompt: [1, 2] }, undefined],
    [{ prompt: "a", echo: false, suffix: "", best_of: 1, logprobs: null }, undefined],

    [{}, ["invalid_request_body", "prompt"]],
  ])("completion %j", (fields, expected) => {
    expect(failure(() => parseCompletionRequest({ model: "m", ...fields }))).toEqual(expected);
  });

  test.each([
    [{ input: "a" }, undefined],
    [{ input: ["a", "b"], encoding_format: "base64" }, undefined],
    [{ input: [[1, 2], [3]] }, undefined],
    [{ input: [] }, ["invalid_request_body", "input"]],
    [{ input: "a", encoding_format: "int8" }, ["invalid_request_body", "encoding_format"]],
  ])("embeddings %j", (fields, expected) => {
    expect(failure(() => parseEmbeddingsRequest({ model: "m", ...fields }))).toEqual(expected);
  });
});
