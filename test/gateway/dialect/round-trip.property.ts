import fc from "fast-check";
import { expect, test } from "vitest";
import { DIALECT_ROUTES } from "../../../src/gateway/dialect/dialect-routes.ts";

/* What a model says goes to the client in its dialect, and comes back with the next turn as the client got it. */

interface Call {
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

interface Said {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly Call[];
  readonly usage: {
    readonly prompt: number;
    readonly cached: number;
    readonly written: number;
    readonly reasoning: number;
  };
}

type Fields = Readonly<Record<string, unknown>>;
type Message = Fields & { readonly role: string };

const TOOLS = ["look", "write_file", "run"];
const PROMPT = { role: "user", content: "hi" };
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });

const said: fc.Arbitrary<Said> = fc
  .record({
    text: fc.option(text, { nil: "" }),
    thinking: fc.option(text, { nil: "" }),
    calls: fc.array(
      fc.record({
        name: fc.constantFrom(...TOOLS),
        input: fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }), {
          maxKeys: 3,
          noNullPrototype: true,
        }),
      }),
      { maxLength: 3 },
    ),
    usage: fc.record({
      prompt: fc.nat(9000),
      cached: fc.nat(9000),
      written: fc.nat(9000),
      reasoning: fc.nat(9000),
    }),
  })
  // A model that says nothing has no turn that could come back.
  .filter((one) => one.text !== "" || one.calls.length > 0)
  .map((one) => ({
    ...one,
    calls: one.calls.map((call, at) => ({ ...call, id: `call_${at}_x` })),
    usage: { ...one.usage, cached: Math.min(one.usage.cached, one.usage.prompt) },
  }));

const openAiCalls = ({ calls }: Said) =>
  calls.map(({ id, name, input }) => ({
    id,
    type: "function",
    function: { name, arguments: JSON.stringify(input) },
  }));

const completionOf = (one: Said) => ({
  id: "1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [
    {
      index: 0,
      finish_reason: one.calls.length > 0 ? "tool_calls" : "stop",
      message: {
        role: "assistant",
        content: one.text === "" ? null : one.text,
        ...(one.thinking === "" ? {} : { reasoning_content: one.thinking }),
        ...(one.calls.length === 0 ? {} : { tool_calls: openAiCalls(one) }),
      },
    },
  ],
  usage: {
    prompt_tokens: one.usage.prompt,
    completion_tokens: one.usage.written,
    total_tokens: one.usage.prompt + one.usage.written,
    prompt_tokens_details: { cached_tokens: one.usage.cached },
    completion_tokens_details: { reasoning_tokens: one.usage.reasoning },
  },
});

const parameters = { type: "object" };

interface Dialect {
  readonly path: string;
  readonly first: Fields;
  /** The next request: what was said, and results of what was called. */
  readonly next: (answer: Fields, one: Said) => Fields;
  readonly usage: (answer: Fields, one: Said) => readonly [unknown, unknown];
}

const anthropicTools = TOOLS.map((name) => ({ name, input_schema: parameters }));
const responseTools = TOOLS.map((name) => ({ type: "function", name, parameters, strict: false }));
const ollamaTools = TOOLS.map((name) => ({ type: "function", function: { name, parameters } }));

const DIALECTS: Readonly<Record<string, Dialect>> = {
  anthropic: {
    path: "/v1/messages",
    first: { model: "m", max_tokens: 9, messages: [PROMPT], tools: anthropicTools },
    next: ({ content }, { calls }) => ({
      model: "m",
      max_tokens: 9,
      tools: anthropicTools,
      messages: [
        PROMPT,
        { role: "assistant", content },
        {
          role: "user",
          content: [
            ...calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: `of ${id}` })),
            { type: "text", text: "go on" },
          ],
        },
      ],
    }),
    usage: (answer, { usage }) => [
      answer["usage"],
      expect.objectContaining({
        input_tokens: usage.prompt - usage.cached,
        cache_read_input_tokens: usage.cached,
        output_tokens: usage.written,
      }),
    ],
  },
  responses: {
    path: "/v1/responses",
    first: { model: "m", input: "hi", tools: responseTools },
    next: ({ output }, { calls }) => ({
      model: "m",
      tools: responseTools,
      input: [
        { role: "user", content: "hi" },
        ...(output as readonly unknown[]),
        ...calls.map(({ id }) => ({ type: "function_call_output", call_id: id, output: `of ${id}` })),
        { role: "user", content: "go on" },
      ],
    }),
    usage: (answer, { usage }) => [
      answer["usage"],
      expect.objectContaining({
        input_tokens: usage.prompt,
        input_tokens_details: expect.objectContaining({ cached_tokens: usage.cached }) as unknown,
        output_tokens: usage.written,
        output_tokens_details: { reasoning_tokens: usage.reasoning },
      }),
    ],
  },
  ollama: {
    path: "/api/chat",
    first: { model: "m", stream: false, messages: [PROMPT], tools: ollamaTools },
    next: ({ message }, { calls }) => ({
      model: "m",
      stream: false,
      tools: ollamaTools,
      messages: [
        PROMPT,
        message,
        ...calls.map(({ id, name }) => ({
          role: "tool",
          tool_name: name,
          tool_call_id: id,
          content: `of ${id}`,
        })),
        { role: "user", content: "go on" },
      ],
    }),
    usage: (answer, { usage }) => [
      answer,
      expect.objectContaining({ prompt_eval_count: usage.prompt, eval_count: usage.written }),
    ],
  },
};

function translated(path: string, body: Fields) {
  const route = DIALECT_ROUTES.find((one) => one.path === path);
  if (route === undefined) throw new Error(`no route ${path}`);
  let ids = 0;
  const newId = () => {
    ids += 1;
    return String(ids);
  };
  return route.translate(body, { newId, nowSecs: 1, elapsedMs: () => 0 });
}

/** Arguments are JSON: their spaces are nobody's. */
const readable = (message: Message): Fields => ({
  ...message,
  content: message["content"] ?? "",
  ...(Array.isArray(message["tool_calls"])
    ? {
        tool_calls: message["tool_calls"].map(
          (call: { id: string; function: { name: string; arguments: string } }) => ({
            id: call.id,
            name: call.function.name,
            input: JSON.parse(call.function.arguments) as unknown,
          }),
        ),
      }
    : {}),
});

test.each(Object.entries(DIALECTS))(
  "%s: text, thinking, calls and usage go out and come back as they were said",
  (_name, dialect) => {
    fc.assert(
      fc.property(said, (one) => {
        const asked = translated(dialect.path, dialect.first);
        // As it travels.
        const answer = JSON.parse(JSON.stringify(asked.answer.whole(completionOf(one)))) as Fields;
        const [told, used] = dialect.usage(answer, one);
        expect(told).toEqual(used);
        const { messages } = translated(dialect.path, dialect.next(answer, one)).body as {
          readonly messages: readonly Message[];
        };
        const [prompt, assistant, ...results] = messages;
        expect(prompt).toEqual(PROMPT);
        expect(readable(assistant as Message)).toEqual({
          role: "assistant",
          content: one.text,
          ...(one.thinking === "" ? {} : { reasoning_content: one.thinking }),
          ...(one.calls.length === 0
            ? {}
            : {
                tool_calls: one.calls.map(({ id, name, input }) => ({
                  id,
                  name,
                  input: JSON.parse(JSON.stringify(input)) as unknown,
                })),
              }),
        });
        expect(results).toEqual([
          ...one.calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: `of ${id}` })),
          { role: "user", content: "go on" },
        ]);
      }),
    );
  },
);
