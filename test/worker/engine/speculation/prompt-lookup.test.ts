import { describe, expect, test } from "vitest";
import { createPromptLookup } from "../../../../src/worker/engine/speculation/prompt-lookup.ts";

const tokensOf = (text: string): number[] => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);
const guess = (text: string, most = 8): string =>
  String.fromCodePoint(...createPromptLookup(tokensOf(text)).draft(most));

describe("what followed the last tokens before", () => {
  test("is guessed to follow again, as far as is asked for", () => {
    expect(guess("the name is Ada. the na")).toBe("me is Ad");
    expect(guess("the name is Ada. the na", 2)).toBe("me");
  });

  test("is what followed them the last time", () => {
    expect(guess("abcX abcY abc", 1)).toBe("Y");
  });

  test("is nothing where they never stood before, or fewer than three did", () => {
    expect(guess("abcdefgh")).toBe("");
    expect(guess("ab xab")).toBe("");
    expect(guess("ab")).toBe("");
    expect(guess("abc abc", 0)).toBe("");
  });

  test("ends where the text does", () => {
    expect(guess("aaaaa")).toBe("a");
  });
});

test("token ids of the largest vocabularies are told apart", () => {
  const large = [262_143, 262_142, 262_141, 7, 262_143, 262_142, 262_140, 8, 262_143, 262_142, 262_141];
  expect(createPromptLookup(large).draft(1)).toEqual([7]);
});
