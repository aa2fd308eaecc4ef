import { describe, expect, test } from "vitest";
import {
  beginAnswer,
  endAnswer,
  noteChunk,
  noteComment,
  problemText,
  timingsOf,
} from "../../src/page/chat-answer.ts";

const delta = (fields: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
});

describe("an answer of the playground", () => {
  test("waits with what the gateway says, then grows, and counts by the last chunk", () => {
    let answer = noteComment(beginAnswer(1000), " loading m on n (loading 40 %)");
    expect(answer.waitingFor).toBe("loading m on n (loading 40 %)");
    // Keep-alive events and the first chunk carry no text: no token yet.
    answer = noteChunk(answer, delta({}), 1100);
    answer = noteChunk(answer, delta({ role: "assistant", content: "" }), 1200);
    expect(timingsOf(answer)).toBeNull();
    answer = noteChunk(answer, delta({ reasoning_content: "hm" }), 1500);
    answer = noteComment(noteChunk(answer, delta({ content: "Hello" }), 1600), "late");
    answer = noteChunk(answer, delta({ content: " there" }, "stop"), 2000);
    answer = noteChunk(answer, { choices: [], usage: { prompt_tokens: 7, completion_tokens: 11 } }, 2000);
    answer = endAnswer(answer, 2500);
    expect(answer).toMatchObject({ text: "Hello there", reasoning: "hm", waitingFor: "", problem: null });
    expect(timingsOf(answer)).toEqual({ firstTokenMs: 500, tokensPerSec: 10 });
  });

  test("a stream without its end is never shown as whole", () => {
    const cut = endAnswer(noteChunk(beginAnswer(0), delta({ content: "Hel" }), 1), 2);
    expect(cut.problem).toContain("broke off");
  });

  test("an error in the stream is shown with what to do", () => {
    const error = { error: { message: "the worker crashed", next: "send it again" } };
    const failed = endAnswer(noteChunk(beginAnswer(0), error, 1), 2);
    expect(failed.problem).toBe("the worker crashed (next: send it again)");
  });

  test("one that is stopped says so", () => {
    expect(endAnswer(beginAnswer(0), 1, "stopped").problem).toBe("stopped");
  });

  test.each([undefined, null, "<html>", {}, { error: {} }])("a body that says nothing: %j", (body) => {
    expect(problemText(body)).toBe("the gateway answered with an error that says nothing");
  });
});
