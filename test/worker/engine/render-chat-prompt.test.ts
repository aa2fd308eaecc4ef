import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { createChatPromptRenderer } from "../../../src/worker/engine/render-chat-prompt.ts";
import type { ChatMessage, Tool } from "../../../src/protocol/openai/chat.ts";
import { controlsOf } from "../../support/worker/control-texts.ts";
import { CHATML_HERMES_TEMPLATE } from "../../support/neuron/gguf-writer.ts";

const CONTROLS = controlsOf(["<s>", "</s>", "<|im_start|>", "<|im_end|>"]);
const rendererOf = (source: string | null) =>
  createChatPromptRenderer({ source, bosText: "<s>", eosText: "</s>", controls: CONTROLS });
const chatml = rendererOf(CHATML_HERMES_TEMPLATE);
const render = (messages: readonly ChatMessage[], tools: readonly Tool[] = []): string =>
  chatml.render({ messages, tools, variables: {} }).text;
const weather: Tool = {
  type: "function",
  function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};
const failure = (run: () => unknown): CortexError => {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
};

describe("chat prompts", () => {
  test("hold the messages and nothing else", () => {
    expect(render([{ role: "user", content: "hi" }])).toBe(
      "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("text parts are joined, null content is empty, developer is system for templates that do not know it", () => {
    const text = render([
      { role: "developer", content: "be brief" },
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      { role: "assistant", content: null },
    ]);
    expect(text).toBe(
      "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("a tool's arguments may be called as a mapping's methods are", () => {
    const walker = rendererOf(
      "{% for tool in tools %}{{ tool.function.name }}:{% for name, schema in tool.function.parameters.properties.items() %}{{ name }}:{{ schema.keys() | join('+') }};{% endfor %}{% endfor %}",
    );
    const properties = { items: { type: "array", values: [] }, keys: { type: "string" }, city: {} };
    const tool: Tool = { type: "function", function: { name: "t", parameters: { properties } } };
    const messages: readonly ChatMessage[] = [{ role: "user", content: "a" }];
    expect(walker.render({ messages, tools: [tool, weather], variables: {} }).text).toBe(
      "t:items:type+values;keys:type;city:;get_weather:city:type;",
    );
  });

  test("tools, calls and results are rendered; arguments reach the template as an object", () => {
    const text = render(
      [
        { role: "user", content: "weather?" },
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "1", type: "function", function: { name: "get_weather", arguments: '{"city":"Oslo"}' } },
          ],
        },
        { role: "tool", tool_call_id: "1", content: "rain" },
      ],
      [weather],
    );
    expect(text).toContain('"name": "get_weather"');
    expect(text).toContain(
      '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    );
    expect(text).toContain("<tool_response>\nrain\n</tool_response>");
  });

  test("start and end texts and request variables reach the template; messages cannot be replaced", () => {
    const renderer = rendererOf("{{ bos_token }}{{ messages|length }}{{ flag }}{{ eos_token }}");
    const messages: ChatMessage[] = [{ role: "user", content: "hi" }];
    expect(renderer.render({ messages, tools: [], variables: { flag: "!", messages: [] } }).text).toBe(
      "<s>1!</s>",
    );
  });

  test("an opened think block is noticed", () => {
    const renderer = rendererOf("{{ messages[0].content }}<think>\n");
    const rendered = renderer.render({
      messages: [{ role: "user", content: "hi" }],
      tools: [],
      variables: {},
    });
    expect(rendered.startsInReasoning).toBe(true);
    expect(renderer.marksReasoning).toBe(true);
    expect(chatml.marksReasoning).toBe(false);
  });

  test.each([
    ["no template", null, "template_render_failed"],
    ["a template that does not parse", "{% if %}", "template_render_failed"],
    ["a template that raises", "{{ raise_exception('no system') }}", "template_render_failed"],
  ])("%s fails clearly", (_name, source, code) => {
    const messages: ChatMessage[] = [{ role: "user", content: "hi" }];
    const error = failure(() => rendererOf(source).render({ messages, tools: [], variables: {} }));
    expect(error.code).toBe(code);
  });

  test("a template that ignores tools refuses them", () => {
    const renderer = rendererOf("{{ messages[0].content }}");
    expect(renderer.rendersTools).toBe(false);
    expect(chatml.rendersTools).toBe(true);
    const error = failure(() =>
      renderer.render({ messages: [{ role: "user", content: "hi" }], tools: [weather], variables: {} }),
    );
    expect(error).toMatchObject({ code: "template_render_failed", param: "tools" });
  });

  test.each([
    ["image_url", "vision_unsupported"],
    ["input_audio", "unsupported_parameter"],
  ])("a part of type %s is %s", (type, code) => {
    const error = failure(() => render([{ role: "user", content: [{ type: "text", text: "a" }, { type }] }]));
    expect(error).toMatchObject({ code, param: "messages.0.content.1" });
  });

  test("arguments that are no JSON name their place", () => {
    const call = { type: "function" as const, function: { name: "f", arguments: "{" } };
    const error = failure(() => render([{ role: "assistant", content: null, tool_calls: [call] }]));
    expect(error).toMatchObject({
      code: "invalid_request_body",
      param: "messages.0.tool_calls.0.function.arguments",
    });
  });
});
