import { describe, expect, test } from "vitest";
import { AnswerTally } from "../../../src/cli/chat/answer-tally.ts";
import {
  beforeLastQuestion,
  messagesOf,
  resultText,
  withAnswer,
  withQuestion,
  type Conversation,
} from "../../../src/cli/chat/conversation.ts";
import { printable } from "../../../src/cli/chat/printable.ts";

const begun: Conversation = { model: "m", system: "Be brief.", said: [] };

describe("what was said", () => {
  test("the system prompt comes first, however late it was set", () => {
    const asked = withQuestion(withAnswer(withQuestion(begun, "one"), "1"), "two");
    expect(messagesOf({ ...asked, system: "In verse." })).toEqual([
      { role: "system", content: "In verse." },
      { role: "user", content: "one" },
      { role: "assistant", content: "1" },
      { role: "user", content: "two" },
    ]);
  });

  test("a question without any answer is not asked along with the next", () => {
    expect(withAnswer(withQuestion(begun, "one"), "").said).toEqual([]);
  });

  test("the last question can be asked again, from where it was asked", () => {
    const asked = withAnswer(withQuestion(withAnswer(withQuestion(begun, "one"), "1"), "two"), "2");
    const before = beforeLastQuestion(asked);
    expect(before?.question).toBe("two");
    expect(before?.conversation.said).toHaveLength(2);
    expect(beforeLastQuestion(begun)).toBeNull();
  });
});

describe("what an answer took", () => {
  test("tokens a second are those that came after the first", () => {
    const tally = new AnswerTally("m", 1000);
    tally.add({ kind: "waiting", text: "waiting" }, 1010);
    tally.add({ kind: "reasoning", text: "hm" }, 1100);
    tally.add({ kind: "text", text: "a" }, 1150);
    tally.add({ kind: "text", text: "b" }, 1600);
    tally.add({ kind: "finished", reason: "stop" }, 1600);
    tally.add({ kind: "usage", prompt: 12, completion: 21, cached: 8 }, 1610);
    const result = tally.end(1620, false);
    expect(result).toEqual({
      model: "m",
      answer: "ab",
      reasoning: "hm",
      finish_reason: "stop",
      prompt_tokens: 12,
      completion_tokens: 21,
      cached_tokens: 8,
      first_token_ms: 100,
      duration_ms: 620,
      tokens_per_sec: 40,
    });
    expect(resultText(result)).toBe("21 tokens (12 in, 8 cached), first after 100 ms, 40 tok/s, 620 ms");
  });

  test("one that was stopped has no count, and says so", () => {
    const tally = new AnswerTally("m", 0);
    tally.add({ kind: "text", text: "a" }, 50);
    expect(resultText(tally.end(90, true))).toBe("stopped, first after 50 ms, 90 ms");
  });

  test("one that began not at all", () => {
    expect(resultText(new AnswerTally("m", 0).end(90, true))).toBe("stopped, 90 ms");
  });
});

test("nothing that a model says steers the terminal", () => {
  expect(printable("a\u001B[2Jb\u0007\r\nc\td\u009B31m\n")).toBe("a[2Jb\nc\td31m\n");
});
