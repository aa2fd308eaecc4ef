import { describe, expect, test } from "vitest";
import { OLLAMA_ROUTES } from "../../../src/gateway/dialect/ollama/ollama-routes.ts";
import { knownName, otherNameOf } from "../../../src/gateway/dialect/ollama/model-name.ts";

type Fields = Readonly<Record<string, unknown>>;

const IDENTITY = { newId: () => "1", nowSecs: 0, elapsedMs: () => 0 };

function asked(path: string, fields: Fields) {
  const route = OLLAMA_ROUTES.find((one) => one.path === path);
  if (route === undefined) throw new Error(`no route ${path}`);
  return route.translate({ model: "m", ...fields }, IDENTITY);
}

const USER = { role: "user", content: "hi" };
const chat = (fields: Fields) => asked("/api/chat", { messages: [USER], stream: false, ...fields }).body;
const generate = (fields: Fields) => asked("/api/generate", { prompt: "hi", stream: false, ...fields }).body;

const CALL = { function: { name: "look", arguments: { at: "x" } } };
const made = (id: string, name = "look") => ({
  id,
  type: "function",
  function: { name, arguments: '{"at":"x"}' },
});

describe("conversations", () => {
  test.each<{
    readonly what: string;
    readonly messages: readonly unknown[];
    readonly expected: readonly unknown[];
  }>([
    {
      what: "text, system and thinking",
      messages: [
        { role: "system", content: "be brief" },
        USER,
        { role: "assistant", content: "b", thinking: "hm" },
      ],
      expected: [
        { role: "system", content: "be brief" },
        USER,
        { role: "assistant", content: "b", reasoning_content: "hm" },
      ],
    },
    {
      what: "calls without ids get some, and their results are matched by name, then by order",
      messages: [
        {
          role: "assistant",
          content: "",
          tool_calls: [CALL, { function: { name: "write", arguments: { at: "x" } } }, CALL],
        },
        { role: "tool", tool_name: "write", content: "w" },
        { role: "tool", tool_name: "look", content: "l1" },
        { role: "tool", content: "l2" },
      ],
      expected: [
        {
          role: "assistant",
          content: null,
          tool_calls: [made("call_1"), made("call_2", "write"), made("call_3")],
        },
        { role: "tool", tool_call_id: "call_2", content: "w" },
        { role: "tool", tool_call_id: "call_1", content: "l1" },
        { role: "tool", tool_call_id: "call_3", content: "l2" },
      ],
    },
    {
      what: "ids that are given stay",
      messages: [
        { role: "assistant", tool_calls: [{ ...CALL, id: "call_x" }] },
        { role: "tool", tool_call_id: "call_x", content: "l" },
      ],
      expected: [
        { role: "assistant", content: null, tool_calls: [made("call_x")] },
        { role: "tool", tool_call_id: "call_x", content: "l" },
      ],
    },
    {
      what: "images say what they are by how they begin",
      messages: [{ role: "user", content: "what?", images: ["/9j/AA", "iVBORw"] }],
      expected: [
        {
          role: "user",
          content: [
            { type: "text", text: "what?" },
            { type: "image_url", image_url: { url: "data:image/jpeg;base64,/9j/AA" } },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw" } },
          ],
        },
      ],
    },
  ])("$what", ({ messages, expected }) => {
    expect(chat({ messages })).toEqual({ messages: expected });
  });
});

describe("settings", () => {
  const schema = { type: "object" };
  test.each<{ readonly given: Fields; readonly expected: Fields }>([
    {
      given: {
        options: {
          temperature: 0.2,
          top_p: 0.9,
          top_k: 40,
          min_p: 0.1,
          seed: 7,
          stop: ["END"],
          num_predict: 9,
          repeat_penalty: 1.1,
          presence_penalty: 0.5,
          frequency_penalty: 0.6,
          num_ctx: 99_999,
          num_gpu: 1,
        },
      },
      expected: {
        temperature: 0.2,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.1,
        seed: 7,
        stop: ["END"],
        max_tokens: 9,
        repeat_penalty: 1.1,
        presence_penalty: 0.5,
        frequency_penalty: 0.6,
      },
    },
    {
      given: { options: { num_predict: -1, stop: [], mirostat: 0, typical_p: 1, tfs_z: 1 } },
      expected: {},
    },
    { given: { keep_alive: "5m", anything: 1 }, expected: {} },
    { given: { format: "json" }, expected: { response_format: { type: "json_object" } } },
    { given: { format: "" }, expected: {} },
    {
      given: { format: schema },
      expected: { response_format: { type: "json_schema", json_schema: { name: "output", schema } } },
    },
    { given: { think: false }, expected: { chat_template_kwargs: { enable_thinking: false } } },
    {
      given: { think: "high" },
      expected: { chat_template_kwargs: { enable_thinking: true, reasoning_effort: "high" } },
    },
    { given: { stream: undefined }, expected: { stream: true, stream_options: { include_usage: true } } },
  ])("$given", ({ given, expected }) => {
    expect(chat(given)).toEqual({ messages: [USER], ...expected });
    expect(generate(given)).toEqual({ messages: [USER], ...expected });
  });

  test("tools go as they are", () => {
    const tool = { type: "function", function: { name: "look", parameters: schema } };
    expect(chat({ tools: [tool] })).toEqual({ messages: [USER], tools: [tool] });
    expect(chat({ tools: [] })).toEqual({ messages: [USER] });
  });

  test("a limit is known to whoever counts, and a stream is the rule", () => {
    const { stream, maxOutputTokens } = asked("/api/chat", { messages: [USER], options: { num_predict: 9 } });
    expect({ stream, maxOutputTokens }).toEqual({ stream: true, maxOutputTokens: 9 });
  });
});

describe("generate", () => {
  test("a system prompt, and a raw prompt that passes by the template", () => {
    expect(generate({ system: "be brief" })).toEqual({
      messages: [{ role: "system", content: "be brief" }, USER],
    });
    const raw = asked("/api/generate", { prompt: "<s>hi", raw: true, options: { top_k: 1 }, stream: false });
    expect(raw.upstreamPath).toBe("/v1/completions");
    expect(raw.body).toEqual({ prompt: "<s>hi", top_k: 1 });
  });

  test("without a question the model is loaded, and nothing is said", () => {
    const { body, answer } = asked("/api/generate", {});
    expect(body).toMatchObject({ max_tokens: 1, stream: true });
    const stream = answer.stream(() => null);
    const said = [stream.chunk({ choices: [{ delta: { content: "x" } }] }), stream.done()].join("");
    expect(JSON.parse(said)).toMatchObject({ response: "", done: true, done_reason: "load" });
  });
});

describe("embeddings", () => {
  test("vectors come in the order of what was asked", () => {
    const { body, answer } = asked("/api/embed", { input: ["a", "b"], dimensions: 2 });
    expect(body).toEqual({ input: ["a", "b"], dimensions: 2 });
    const data = [
      { index: 1, embedding: [2] },
      { index: 0, embedding: [1] },
    ];
    expect(answer.whole({ data, usage: { prompt_tokens: 3 } })).toMatchObject({
      model: "m",
      embeddings: [[1], [2]],
      prompt_eval_count: 3,
    });
    expect(asked("/api/embeddings", { prompt: "a" }).answer.whole({ data })).toEqual({ embedding: [1] });
  });
});

test.each<{ readonly path: string; readonly given: Fields; readonly param: string }>([
  { path: "/api/chat", given: { messages: [USER], format: "yaml" }, param: "format" },
  { path: "/api/chat", given: { messages: [USER], options: { mirostat: 2 } }, param: "options.mirostat" },
  { path: "/api/chat", given: { messages: [USER], logprobs: true }, param: "logprobs" },
  { path: "/api/chat", given: { messages: [], keep_alive: "soon" }, param: "keep_alive" },
  { path: "/api/chat", given: { messages: [{ role: "nobody" }] }, param: "messages.0.role" },
  { path: "/api/generate", given: { prompt: "a", template: "{{ .Prompt }}" }, param: "template" },
  { path: "/api/generate", given: { prompt: "a", suffix: "b" }, param: "suffix" },
  { path: "/api/generate", given: { prompt: "a", context: [1] }, param: "context" },
  { path: "/api/generate", given: { prompt: "a", raw: true, system: "b" }, param: "system" },
  { path: "/api/generate", given: { prompt: "a", raw: true, format: "json" }, param: "format" },
  { path: "/api/generate", given: { prompt: "a", raw: true, images: ["x"] }, param: "images" },
  { path: "/api/embed", given: {}, param: "input" },
])("$path refuses $param", ({ path, given, param }) => {
  expect(() => asked(path, given)).toThrow(expect.objectContaining({ param }));
});

test("a name with `:latest` and without a tag are one", () => {
  expect(otherNameOf("org/a")).toBe("org/a:latest");
  expect(otherNameOf("org/a:latest")).toBe("org/a");
  expect(otherNameOf("a:8b")).toBeUndefined();
  expect(knownName("a:latest", (name) => name === "a")).toBe("a");
  expect(knownName("a", (name) => name === "a:latest")).toBe("a:latest");
  expect(knownName("b", () => false)).toBe("b");
});
