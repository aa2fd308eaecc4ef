import { describe, expect, test } from "vitest";
import type { AnswerEvent } from "../../../src/worker/answer/answer-parser.ts";
import {
  createChatChunkWriter,
  createCompletionChunkWriter,
  toChatCompletion,
  toCompletion,
  usageChunk,
  type AnswerEnding,
} from "../../../src/worker/answer/chat-completion-chunks.ts";
import {
  chatCompletionChunkSchema,
  chatCompletionSchema,
  completionSchema,
  type ChatCompletionChunk,
} from "../../../src/protocol/openai/chat.ts";

const identity = { id: "chatcmpl-1", created: 1, model: 'a "model"' };
const ending: AnswerEnding = {
  finishReason: "tool_calls",
  stopText: null,
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  timings: {
    prompt_n: 3,
    prompt_ms: 1,
    prompt_per_second: 3000,
    predicted_n: 2,
    predicted_ms: 1,
    predicted_per_second: 1000,
    time_to_first_token_ms: 2,
  },
};
const events: readonly AnswerEvent[] = [
  { kind: "reasoning-written", text: "hm\n" },
  { kind: "text-written", text: 'quote " and \u2028 line' },
  { kind: "call-opened", index: 0, name: "f" },
  { kind: "call-written", index: 0, text: '{"a"' },
  { kind: "call-written", index: 0, text: ": 1}" },
  { kind: "call-closed", index: 0 },
];
const newCallId = () => "call_1";

const chunks = (sse: string): ChatCompletionChunk[] =>
  sse
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => chatCompletionChunkSchema.parse(JSON.parse(event.replace(/^data: /, ""))));

const content = (some: readonly AnswerEvent[]) =>
  toChatCompletion(identity, [{ events: some, ending }], { ...ending, newCallId }).choices[0]?.message
    .content;

describe("an answer on the wire", () => {
  test("every event is a chunk of the OpenAI shape that carries the identity", () => {
    const writer = createChatChunkWriter(identity, { index: 0, newCallId });
    const read = chunks(
      writer.opening() +
        writer.events(events) +
        writer.finish(ending) +
        usageChunk("chat.completion.chunk", identity, ending),
    );
    expect(read.every((chunk) => chunk.id === identity.id && chunk.model === identity.model)).toBe(true);
    const deltas = read.map((chunk) => chunk.choices[0]?.delta ?? {});
    expect(deltas[0]).toEqual({ role: "assistant", content: "" });
    expect(deltas[1]).toEqual({ reasoning_content: "hm\n" });
    expect(deltas[2]).toEqual({ content: 'quote " and \u2028 line' });
    expect(deltas[3]).toEqual({
      tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "f", arguments: "" } }],
    });
    expect(read.at(-2)?.choices[0]?.finish_reason).toBe("tool_calls");
    expect(read.at(-1)).toMatchObject({ choices: [], usage: ending.usage, timings: ending.timings });
  });

  test("the whole answer says the same as the chunks", () => {
    const whole = chatCompletionSchema.parse(
      toChatCompletion(identity, [{ events, ending }], { ...ending, newCallId }),
    );
    expect(whole.choices[0]?.message).toEqual({
      role: "assistant",
      content: 'quote " and \u2028 line',
      reasoning_content: "hm\n",
      tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: '{"a": 1}' } }],
    });
  });

  test("content is null beside calls only", () => {
    const calls = events.filter((event) => event.kind.startsWith("call"));
    expect(content(calls)).toBeNull();
    expect(content([])).toBe("");
  });

  test("legacy completions are text", () => {
    const writer = createCompletionChunkWriter(identity, 0);
    const event = writer.events([{ kind: "text-written", text: "a" }]);
    expect(completionSchema.parse(JSON.parse(event.slice(6))).choices[0]?.text).toBe("a");
    expect(writer.opening()).toBe("");
    expect(
      completionSchema.parse(toCompletion(identity, [{ events, ending }], ending)).choices[0]?.text,
    ).toContain("quote");
  });
});
