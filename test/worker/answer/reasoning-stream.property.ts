import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createReasoningStream } from "../../../src/worker/answer/reasoning-stream.ts";
import { cutText } from "../../support/cuts.ts";

function read(pieces: readonly string[], startsInside: boolean) {
  const stream = createReasoningStream(startsInside);
  const parts = [...pieces.flatMap((piece) => [...stream.push(piece)]), ...stream.end()];
  const join = (kind: string) =>
    parts
      .filter((part) => part.kind === kind)
      .map((part) => part.text)
      .join("");
  return { reasoning: join("reasoning-written"), text: join("text-written") };
}

describe("reasoning", () => {
  test.each([
    ["none", "hello", false, { reasoning: "", text: "hello" }],
    ["a block", "<think>\nhm\n</think>\n\nyes", false, { reasoning: "hm", text: "yes" }],
    ["opened by the prompt", "hm</think>yes", true, { reasoning: "hm", text: "yes" }],
    ["empty", "<think>\n\n</think>\n\nyes", false, { reasoning: "", text: "yes" }],
    ["cut off", "<think>hm", false, { reasoning: "hm", text: "" }],
    [
      "a later mark is text",
      "yes <think>no</think>",
      false,
      { reasoning: "", text: "yes <think>no</think>" },
    ],
    ["leading space without a block", "  yes", false, { reasoning: "", text: "  yes" }],
  ])("%s", (...[, text, startsInside, expected]) => {
    expect(read([text], startsInside)).toEqual(expected);
  });

  test("the cuts never change the split", () => {
    const piece = fc.constantFrom("<think>", "</think>", "<", "th", " ", "\n", "hm", "ok");
    const text = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(cutText(text), fc.boolean(), (pieces, startsInside) => {
        expect(read(pieces, startsInside)).toEqual(read([pieces.join("")], startsInside));
      }),
    );
  });
});
