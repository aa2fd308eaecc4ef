import { describe, expect, test } from "vitest";
import { RESPONSES_ROUTE } from "../../../src/gateway/dialect/responses/responses-route.ts";
import { sealedThought } from "../../../src/gateway/dialect/responses/reasoning-item.ts";

type Fields = Readonly<Record<string, unknown>>;

const IDENTITY = { newId: () => "1", nowSecs: 0, elapsedMs: () => 0 };

const translated = (fields: Fields) =>
  RESPONSES_ROUTE.translate({ model: "m", input: [], ...fields }, IDENTITY).body;

const call = (id: string, name: string, json: string) => ({
  id,
  type: "function",
  function: { name, arguments: json },
});

const LOOK = { type: "function", name: "look", description: "Looks.", parameters: { type: "object" } };
const SHOWN = {
  type: "function",
  function: { name: "look", description: "Looks.", parameters: { type: "object" } },
};
const EMPTY = { type: "object", properties: {} };
const NOW = { type: "function", name: "now" };
const SHOWN_NOW = { type: "function", function: { name: "now", parameters: EMPTY } };

describe("tools", () => {
  test.each<{ readonly what: string; readonly tool: Fields; readonly expected: readonly Fields[] }>([
    { what: "a function", tool: LOOK, expected: [SHOWN] },
    {
      what: "a strict function without arguments",
      tool: { type: "function", name: "then", strict: true },
      expected: [{ type: "function", function: { name: "then", parameters: EMPTY, strict: true } }],
    },
    {
      what: "a namespace is dissolved",
      tool: {
        type: "namespace",
        name: "files",
        description: "Files.",
        tools: [{ type: "function", name: "read" }],
      },
      expected: [{ type: "function", function: { name: "files__read", parameters: EMPTY } }],
    },
    {
      what: "a custom tool takes one text",
      tool: {
        type: "custom",
        name: "patch",
        description: "Patches.",
        format: { type: "grammar", syntax: "lark", definition: "start: x" },
      },
      expected: [
        {
          type: "function",
          function: {
            name: "patch",
            description: "Patches.\n\nThe input follows this grammar:\nstart: x",
            parameters: { type: "object", properties: { input: { type: "string" } }, required: ["input"] },
          },
        },
      ],
    },
    { what: "a tool that OpenAI hosts is not offered", tool: { type: "web_search" }, expected: [] },
  ])("$what", ({ tool, expected }) => {
    expect(translated({ tools: [tool, NOW] })["tools"] ?? []).toEqual([...expected, SHOWN_NOW]);
  });

  test.each<{ readonly choice: unknown; readonly expected: Fields }>([
    { choice: "auto", expected: { tool_choice: "auto" } },
    { choice: "required", expected: { tool_choice: "required" } },
    { choice: "none", expected: { tool_choice: "none" } },
    {
      choice: { type: "function", name: "look" },
      expected: { tool_choice: { type: "function", function: { name: "look" } } },
    },
    {
      choice: { type: "function", name: "read" },
      expected: { tool_choice: { type: "function", function: { name: "files__read" } } },
    },
  ])("tool_choice $choice", ({ choice, expected }) => {
    const files = { type: "namespace", name: "files", tools: [{ type: "function", name: "read" }] };
    const tools = [LOOK, { type: "web_search" }, files];
    expect(translated({ tools, tool_choice: choice, parallel_tool_calls: false })).toMatchObject({
      tools: [SHOWN, { function: { name: "files__read" } }],
      parallel_tool_calls: false,
      ...expected,
    });
  });

  test("tool_choice may narrow what is offered", () => {
    const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "look" }] };
    const tools = [{ type: "function", name: "other" }, LOOK];
    expect(translated({ tools, tool_choice: choice })).toMatchObject({
      tools: [SHOWN],
      tool_choice: "required",
    });
  });

  test("where no tool is left to offer, the choice is left out; a demand is left for its refusal", () => {
    expect(translated({ tools: [{ type: "web_search" }], tool_choice: "auto" })).toEqual({ messages: [] });
    expect(translated({ tools: [{ type: "web_search" }], tool_choice: "required" })).toMatchObject({
      tools: [],
      tool_choice: "required",
    });
  });
});

describe("calls of tools find back to their client", () => {
  const tools = [
    { type: "namespace", name: "files", tools: [{ type: "function", name: "read" }] },
    { type: "function", name: "files__read" },
    { type: "custom", name: "patch" },
  ];

  test.each<{ readonly offered: string; readonly json: string; readonly expected: Fields }>([
    {
      offered: "files__read",
      json: '{"a":1}',
      expected: { type: "function_call", namespace: "files", name: "read", arguments: '{"a":1}' },
    },
    {
      offered: "files__read_2",
      json: "",
      expected: { type: "function_call", name: "files__read", arguments: "{}" },
    },
    {
      offered: "patch",
      json: '{"input":"*** Begin"}',
      expected: { type: "custom_tool_call", name: "patch", input: "*** Begin" },
    },
    { offered: "made-up", json: "{}", expected: { type: "function_call", name: "made-up" } },
  ])("$offered, and back to the model", ({ offered, json, expected }) => {
    const { answer } = RESPONSES_ROUTE.translate({ model: "m", tools }, IDENTITY);
    const whole = answer.whole({
      choices: [{ message: { tool_calls: [call("call_1", offered, json)] }, finish_reason: "tool_calls" }],
    }) as { output: readonly Fields[] };
    expect(whole.output[0]).toMatchObject(expected);
    expect(translated({ tools, input: whole.output })["messages"]).toEqual([
      { role: "assistant", content: null, tool_calls: [call("call_1", offered, json === "" ? "{}" : json)] },
    ]);
  });
});

test("a whole answer says all that was asked and answered", () => {
  const { answer } = RESPONSES_ROUTE.translate(
    {
      model: "m",
      input: "hi",
      instructions: "i",
      include: ["reasoning.encrypted_content"],
      metadata: { a: "b" },
    },
    { newId: () => "1", nowSecs: 7, elapsedMs: () => 0 },
  );
  const whole = answer.whole({
    choices: [{ message: { content: "a", reasoning_content: "t" }, finish_reason: "length" }],
    usage: {
      prompt_tokens: 30,
      completion_tokens: 10,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 4 },
    },
  });
  expect(whole).toMatchObject({
    id: "resp_1",
    object: "response",
    created_at: 7,
    model: "m",
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    error: null,
    instructions: "i",
    metadata: { a: "b" },
    store: false,
    tools: [],
    output: [
      {
        type: "reasoning",
        status: "completed",
        summary: [{ type: "summary_text", text: "t" }],
        encrypted_content: sealedThought("t"),
      },
      {
        type: "message",
        role: "assistant",
        status: "incomplete",
        content: [{ type: "output_text", text: "a", annotations: [] }],
      },
    ],
    usage: {
      input_tokens: 30,
      input_tokens_details: { cached_tokens: 8 },
      output_tokens: 10,
      output_tokens_details: { reasoning_tokens: 4 },
      total_tokens: 40,
    },
  });
});
