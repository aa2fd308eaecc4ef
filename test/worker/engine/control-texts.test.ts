import { describe, expect, test } from "vitest";
import { createControlTexts } from "../../../src/worker/engine/control-texts.ts";
import { cutLongRuns } from "../../../src/worker/engine/long-runs.ts";
import { fencedPieces, promptPieces } from "../../../src/worker/engine/prompt-pieces.ts";
import { controlsOf } from "../../support/worker/control-texts.ts";

const controls = controlsOf(["<|a|>", "<|a", "[X]", "]"]);

describe("control texts", () => {
  test("the longest wins; a place that none begins at has none", () => {
    expect(controls.at("x<|a|>", 1)?.text).toBe("<|a|>");
    expect(controls.at("<|a|", 0)?.text).toBe("<|a");
    expect(controls.at("<|b", 0)).toBeUndefined();
    expect(controls.at("a]", 1)?.text).toBe("]");
  });

  test("candidates are the places where a first character stands, odd ones included", () => {
    expect(controls.nextCandidate("ab[<]", 0)).toBe(2);
    expect(controls.nextCandidate("ab[<]", 3)).toBe(3);
    expect(controls.nextCandidate("ab", 0)).toBe(-1);
    expect(controlsOf([]).nextCandidate("<", 0)).toBe(-1);
    expect(controlsOf(["^", "-", "\\"]).nextCandidate("a-", 0)).toBe(1);
  });

  test("what could begin one, and what breaks off in one", () => {
    expect(controls.mayBeginAt("<div>", 0)).toBe(false);
    expect(controls.mayBeginAt("<|div>", 0)).toBe(true);
    expect(controls.mayBeginAt("x<", 1)).toBe(true);
    expect(controls.breaksOffAt("x<|", 1)).toBe(true);
    expect(controls.breaksOffAt("x<|b", 1)).toBe(false);
  });
});

describe("pieces of a prompt", () => {
  test("a prompt without forged control texts is one piece", () => {
    expect(promptPieces({ text: "<|a|>x", marked: [] }, controls)).toEqual([
      { text: "<|a|>x", control: true },
    ]);
    expect(promptPieces({ text: "<|a|>x<|", marked: [6] }, controls)).toHaveLength(1);
    expect(promptPieces({ text: "", marked: [] }, controls)).toEqual([]);
  });

  test("a forged one makes text of all between the template's control texts around it", () => {
    const text = "<|a|>x<|a|>y<|a|>z<|a|>";
    expect(promptPieces({ text, marked: [6] }, controls)).toEqual([
      { text: "<|a|>", control: true },
      { text: "x<|a|>y", control: false },
      { text: "<|a|>z<|a|>", control: true },
    ]);
    expect(promptPieces({ text, marked: [0, 6, 12, 18] }, controls)).toEqual([{ text, control: false }]);
  });

  test("white space that a control token eats is eaten beside text too", () => {
    const greedy = createControlTexts([{ text: "<|a|>", eatsBefore: true, eatsAfter: true }]);
    const prompt = { text: "<|a|> \n<|a|>y <|a|>", marked: [7] };
    expect(promptPieces(prompt, greedy)[1]).toEqual({ text: "<|a|>y", control: false });
    expect(fencedPieces(prompt, greedy)).toEqual([
      { text: "<|a|>", control: true },
      { text: "<|a|>y", control: false },
      { text: "<|a|>", control: true },
    ]);
  });
});

const longest = (parts: readonly string[]): number => Math.max(...parts.map((part) => part.length));

describe("long runs", () => {
  test.each(["a", " ", "漢", "é", "\u{1F600}", "!", "a1+/", "\n"])(
    "of %j are cut, and nothing is lost",
    (unit) => {
      const text = `${"x y ".repeat(1024)}${unit.repeat(50_000)} end`;
      const parts = cutLongRuns(text);
      expect(parts.join("")).toBe(text);
      expect(longest(parts)).toBeLessThanOrEqual(8192);
      for (const part of parts) expect(part.isWellFormed()).toBe(true);
    },
  );

  test("ordinary text is never cut", () => {
    const text = "Some words, and 中文，没有空格。 ".repeat(5000) + "a".repeat(4000);
    expect(cutLongRuns(text)).toEqual([text]);
  });
});
