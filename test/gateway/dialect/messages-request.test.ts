import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import {
  readMessagesRequest,
  toChatRequest,
} from "../../../src/gateway/dialect/anthropic/messages-request.ts";

const translated = (fields: Readonly<Record<string, unknown>>) =>
  toChatRequest(readMessagesRequest({ model: "m", max_tokens: 9, messages: [], ...fields }));

const messagesOf = (messages: readonly unknown[], fields: Readonly<Record<string, unknown>> = {}) =>
  translated({ messages, ...fields })["messages"];

const TOOL = { name: "look", description: "Looks.", input_schema: { type: "object" } };

describe("conversations", () => {
  test.each<{
    readonly what: string;
    readonly messages: readonly unknown[];
    readonly expected: readonly unknown[];
  }>([
    {
      what: "text as a string and as blocks",
      messages: [
        { role: "user", content: "a" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "b" },
            { type: "text", text: "c" },
          ],
        },
        { role: "user", content: [{ type: "text", text: "d", cache_control: { type: "ephemeral" } }] },
      ],
      expected: [
        { role: "user", content: "a" },
        { role: "assistant", content: "bc" },
        { role: "user", content: "d" },
      ],
    },
    {
      what: "a system message in the middle stays in its place",
      messages: [
        { role: "user", content: "a" },
        { role: "system", content: "now be brief" },
        { role: "user", content: "b" },
      ],
      expected: [
        { role: "user", content: "a" },
        { role: "system", content: "now be brief" },
        { role: "user", content: "b" },
      ],
    },
    {
      what: "calls: no empty text beside them, arguments as JSON text, thinking comes back",
      messages: [
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "of somebody else" },
            { type: "text", text: "" },
            { type: "tool_use", id: "call_1", name: "look", input: { at: "x" } },
            { type: "tool_use", id: "call_2", name: "look" },
          ],
        },
      ],
      expected: [
        {
          role: "assistant",
          content: null,
          reasoning_content: "hm",
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "look", arguments: '{"at":"x"}' } },
            { id: "call_2", type: "function", function: { name: "look", arguments: "{}" } },
          ],
        },
      ],
    },
    {
      what: "results come before the text of their turn, in their order; a failed one says so",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "and?" },
            { type: "tool_result", tool_use_id: "call_1", content: "one" },
            {
              type: "tool_result",
              tool_use_id: "call_2",
              is_error: true,
              content: [
                { type: "text", text: "no such" },
                { type: "text", text: "file" },
              ],
            },
            { type: "tool_result", tool_use_id: "call_3" },
          ],
        },
      ],
      expected: [
        { role: "tool", tool_call_id: "call_1", content: "one" },
        { role: "tool", tool_call_id: "call_2", content: "Error: no such\nfile" },
        { role: "tool", tool_call_id: "call_3", content: "" },
        { role: "user", content: "and?" },
      ],
    },
    {
      what: "images, and documents of text",
      messages: [
        {
          role: "user",
          content: [
            { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
            { type: "image", source: { type: "url", url: "https://x.example/a.png" } },
            { type: "document", source: { type: "text", media_type: "text/plain", data: "read me" } },
          ],
        },
      ],
      expected: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "image_url", image_url: { url: "https://x.example/a.png" } },
            { type: "text", text: "read me" },
          ],
        },
      ],
    },
    {
      what: "what Anthropic hosts is left out",
      messages: [
        {
          role: "user",
          content: [
            { type: "web_search_tool_result", tool_use_id: "x", content: [] },
            { type: "text", text: "a" },
          ],
        },
      ],
      expected: [{ role: "user", content: "a" }],
    },
  ])("$what", ({ messages, expected }) => {
    expect(messagesOf(messages)).toEqual(expected);
  });

  test("a system prompt of blocks is one message", () => {
    const system = [
      { type: "text", text: "one" },
      { type: "text", text: "two", cache_control: { type: "ephemeral" } },
    ];
    expect(messagesOf([{ role: "user", content: "a" }], { system })).toEqual([
      { role: "system", content: "one\n\ntwo" },
      { role: "user", content: "a" },
    ]);
  });
});

describe("settings", () => {
  test.each<{
    readonly given: Readonly<Record<string, unknown>>;
    readonly expected: Readonly<Record<string, unknown>>;
  }>([
    {
      given: { temperature: 0.2, top_p: 0.9, top_k: 40 },
      expected: { temperature: 0.2, top_p: 0.9, top_k: 40 },
    },
    { given: { stop_sequences: ["END"] }, expected: { stop: ["END"] } },
    { given: { stop_sequences: [] }, expected: {} },
    { given: { stream: true }, expected: { stream: true, stream_options: { include_usage: true } } },
    {
      given: { thinking: { type: "adaptive", display: "x" } },
      expected: { chat_template_kwargs: { enable_thinking: true } },
    },
    {
      given: { thinking: { type: "disabled" } },
      expected: { chat_template_kwargs: { enable_thinking: false } },
    },
    { given: { tool_choice: { type: "any" } }, expected: {} },
    {
      given: {
        metadata: { user_id: "u" },
        context_management: { edits: [] },
        service_tier: "auto",
        anything: 1,
      },
      expected: {},
    },
    {
      given: {
        output_config: { effort: "low", format: { type: "json_schema", schema: { type: "object" } } },
      },
      expected: {
        response_format: { type: "json_schema", json_schema: { name: "output", schema: { type: "object" } } },
      },
    },
  ])("$given", ({ given, expected }) => {
    expect(translated(given)).toEqual({ messages: [], max_tokens: 9, ...expected });
  });

  const SHOWN = {
    type: "function",
    function: { name: "look", description: "Looks.", parameters: { type: "object" } },
  };
  test.each<{
    readonly choice: Readonly<Record<string, unknown>>;
    readonly expected: Readonly<Record<string, unknown>>;
  }>([
    { choice: { type: "auto" }, expected: { tool_choice: "auto" } },
    {
      choice: { type: "any", disable_parallel_tool_use: true },
      expected: { tool_choice: "required", parallel_tool_calls: false },
    },
    {
      choice: { type: "tool", name: "look" },
      expected: { tool_choice: { type: "function", function: { name: "look" } } },
    },
    { choice: { type: "none" }, expected: { tool_choice: "none" } },
  ])("tool_choice $choice", ({ choice, expected }) => {
    const tools = [TOOL, { type: "web_search_20250305", name: "web_search" }];
    expect(translated({ tools, tool_choice: choice })).toEqual({
      messages: [],
      max_tokens: 9,
      tools: [SHOWN],
      ...expected,
    });
  });
});

describe("what is no request", () => {
  test.each<{ readonly body: unknown; readonly code: string; readonly param: string }>([
    { body: { messages: [] }, code: "missing_model_field", param: "model" },
    { body: { model: "m" }, code: "invalid_request_body", param: "messages" },
    {
      body: { model: "m", messages: [{ role: "tool", content: "" }] },
      code: "invalid_request_body",
      param: "messages.0.role",
    },
    { body: { model: "m", messages: [], max_tokens: 0 }, code: "invalid_request_body", param: "max_tokens" },
    {
      body: { model: "m", messages: [{ role: "user", content: [{ type: "hologram" }] }] },
      code: "unsupported_parameter",
      param: "messages.0.content.0",
    },
    {
      body: {
        model: "m",
        messages: [{ role: "user", content: [{ type: "document", source: { type: "base64" } }] }],
      },
      code: "unsupported_parameter",
      param: "messages.0.content.0.source",
    },
    {
      body: { model: "m", messages: [], output_config: { format: { type: "xml" } } },
      code: "unsupported_parameter",
      param: "output_config.format",
    },
  ])("$param: $code", ({ body, code, param }) => {
    let thrown: unknown;
    try {
      toChatRequest(readMessagesRequest(body));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(CortexError);
    expect(thrown).toMatchObject({ code, param });
  });
});
