import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { RESPONSES_ROUTE } from "../../../src/gateway/dialect/responses/responses-route.ts";
import { sealedThought } from "../../../src/gateway/dialect/responses/reasoning-item.ts";

type Fields = Readonly<Record<string, unknown>>;

const IDENTITY = { newId: () => "1", nowSecs: 0, elapsedMs: () => 0 };

const translated = (fields: Fields) =>
  RESPONSES_ROUTE.translate({ model: "m", input: [], ...fields }, IDENTITY).body;

const messagesOf = (fields: Fields) => translated(fields)["messages"];

const refusalOf = (fields: Fields): CortexError => {
  try {
    translated(fields);
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error("was not refused");
};

const call = (id: string, name: string, json: string) => ({
  id,
  type: "function",
  function: { name, arguments: json },
});

describe("conversations", () => {
  test.each<{ readonly what: string; readonly fields: Fields; readonly expected: readonly unknown[] }>([
    {
      what: "a string, with instructions before it",
      fields: { input: "hi", instructions: "be brief" },
      expected: [
        { role: "system", content: "be brief" },
        { role: "user", content: "hi" },
      ],
    },
    {
      what: "messages with and without their type, of every role",
      fields: {
        input: [
          { type: "message", role: "developer", content: [{ type: "input_text", text: "a" }] },
          { role: "system", content: "b" },
          {
            role: "user",
            content: [
              { type: "input_text", text: "c" },
              { type: "input_text", text: "d" },
            ],
          },
          {
            type: "message",
            id: "msg_1",
            status: "completed",
            role: "assistant",
            content: [
              { type: "output_text", text: "e", annotations: [] },
              { type: "refusal", refusal: "f" },
            ],
          },
          { role: "assistant", content: "g" },
        ],
      },
      expected: [
        { role: "developer", content: "a" },
        { role: "system", content: "b" },
        { role: "user", content: "c\nd" },
        { role: "assistant", content: "ef" },
        { role: "assistant", content: "g" },
      ],
    },
    {
      what: "one turn of a model is one message: reasoning, text, calls",
      fields: {
        input: [
          { type: "reasoning", summary: [], encrypted_content: sealedThought("hm ✓") },
          { role: "assistant", content: [{ type: "output_text", text: "" }] },
          { type: "function_call", id: "fc_1", call_id: "call_1", name: "look", arguments: '{"at":"x"}' },
          { type: "function_call", call_id: "call_2", name: "look", arguments: "" },
          { type: "function_call_output", call_id: "call_1", output: "one" },
          {
            type: "function_call_output",
            call_id: "call_2",
            output: [
              { type: "input_text", text: "two" },
              { type: "input_text", text: "three" },
            ],
          },
          { role: "user", content: "and?" },
        ],
      },
      expected: [
        {
          role: "assistant",
          content: null,
          reasoning_content: "hm ✓",
          tool_calls: [call("call_1", "look", '{"at":"x"}'), call("call_2", "look", "{}")],
        },
        { role: "tool", tool_call_id: "call_1", content: "one" },
        { role: "tool", tool_call_id: "call_2", content: "two\nthree" },
        { role: "user", content: "and?" },
      ],
    },
    {
      what: "text behind a call stays in the turn, so that results follow their calls",
      fields: {
        input: [
          { type: "function_call", call_id: "call_1", name: "look", arguments: "{}" },
          { role: "assistant", content: "wait" },
          { type: "function_call_output", call_id: "call_1", output: "x" },
        ],
      },
      expected: [
        { role: "assistant", content: "wait", tool_calls: [call("call_1", "look", "{}")] },
        { role: "tool", tool_call_id: "call_1", content: "x" },
      ],
    },
    {
      what: "reasoning of somebody else: what was shown of it",
      fields: {
        input: [
          { type: "reasoning", summary: [{ type: "summary_text", text: "s" }], encrypted_content: "gAAAAB" },
          { role: "assistant", content: "a" },
          {
            type: "reasoning",
            summary: [{ type: "summary_text", text: "less" }],
            content: [{ type: "reasoning_text", text: "all" }],
          },
          { role: "assistant", content: "b" },
        ],
      },
      expected: [
        { role: "assistant", content: "a", reasoning_content: "s" },
        { role: "assistant", content: "b", reasoning_content: "all" },
      ],
    },
    {
      what: "images",
      fields: {
        input: [
          {
            role: "user",
            content: [
              { type: "input_text", text: "look" },
              { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" },
            ],
          },
        ],
      },
      expected: [
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          ],
        },
      ],
    },
    {
      what: "what hosted tools left behind is left out",
      fields: {
        input: [
          { type: "web_search_call", id: "ws_1", status: "completed" },
          { type: "mcp_list_tools", id: "x", tools: [] },
          { role: "user", content: "a" },
        ],
      },
      expected: [{ role: "user", content: "a" }],
    },
  ])("$what", ({ fields, expected }) => {
    expect(messagesOf(fields)).toEqual(expected);
  });
});

describe("settings", () => {
  test.each<{ readonly given: Fields; readonly expected: Fields }>([
    {
      given: { max_output_tokens: 9, temperature: 0.2, top_p: 0.9 },
      expected: { max_tokens: 9, temperature: 0.2, top_p: 0.9 },
    },
    { given: { stream: true }, expected: { stream: true, stream_options: { include_usage: true } } },
    { given: { text: { format: { type: "text" }, verbosity: "low" } }, expected: {} },
    {
      given: { text: { format: { type: "json_object" } } },
      expected: { response_format: { type: "json_object" } },
    },
    {
      given: {
        text: { format: { type: "json_schema", name: "n", schema: { type: "object" }, strict: true } },
      },
      expected: {
        response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } },
      },
    },
    { given: { reasoning: { effort: null, summary: "auto" } }, expected: {} },
    {
      given: { reasoning: { effort: "low" } },
      expected: { chat_template_kwargs: { enable_thinking: true, reasoning_effort: "low" } },
    },
    {
      given: { reasoning: { effort: "none" } },
      expected: { chat_template_kwargs: { enable_thinking: false } },
    },
    {
      given: {
        store: true,
        include: ["reasoning.encrypted_content"],
        prompt_cache_key: "k",
        client_metadata: { a: "b" },
        metadata: { a: "b" },
        truncation: "auto",
        service_tier: "auto",
        previous_response_id: null,
        parallel_tool_calls: true,
        anything: 1,
      },
      expected: {},
    },
  ])("$given", ({ given, expected }) => {
    expect(translated(given)).toEqual({ messages: [], ...expected });
  });

  test.each<{ readonly given: Fields; readonly param: string; readonly says: string }>([
    { given: { conversation: "conv_1" }, param: "conversation", says: "kept" },
    { given: { prompt: { id: "pmpt_1" } }, param: "prompt", says: "stored" },
    { given: { background: true }, param: "background", says: "later" },
    { given: { top_logprobs: 2 }, param: "top_logprobs", says: "log prob" },
    { given: { input: [{ type: "hologram" }] }, param: "input.0.type", says: "hologram" },
    { given: { input: [{ content: "a" }] }, param: "input.0.type", says: "no meaning" },
    {
      given: { input: [{ role: "user", content: [{ type: "input_file", file_id: "f" }] }] },
      param: "input.0.content.0",
      says: "input_file",
    },
    {
      given: { input: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] },
      param: "input.0.content.0",
      says: "image_url",
    },
    { given: { tool_choice: { type: "web_search" } }, param: "tool_choice", says: "web_search" },
  ])("refused by name: $given", ({ given, param, says }) => {
    const refusal = refusalOf(given);
    expect(refusal).toMatchObject({ code: "unsupported_parameter", param });
    expect(refusal.message).toContain(says);
  });

  test.each<{ readonly given: Fields; readonly code: string; readonly param: string }>([
    { given: { model: undefined }, code: "missing_model_field", param: "model" },
    { given: { input: 5 }, code: "invalid_request_body", param: "input" },
    {
      given: { previous_response_id: "resp_1" },
      code: "previous_response_not_found",
      param: "previous_response_id",
    },
    {
      given: { input: [{ type: "item_reference", id: "msg_1" }] },
      code: "previous_response_not_found",
      param: "input.0",
    },
    {
      given: { input: [{ type: "function_call", name: "look", arguments: "{}" }] },
      code: "invalid_request_body",
      param: "input.0.call_id",
    },
    {
      given: { text: { format: { type: "json_schema" } } },
      code: "invalid_request_body",
      param: "text.format.schema",
    },
  ])("wrong: $given", ({ given, code, param }) => {
    expect(refusalOf(given)).toMatchObject({ code, param });
  });
});
