import { describe, expect, test } from "vitest";
import { chooseSlot } from "../../../src/worker/engine/choose-slot.ts";

const slot = (id: number, tokens: readonly number[], lastUsedMs = id) => ({ id, tokens, lastUsedMs });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe("the slot for a prompt", () => {
  test.each([
    ["none free", [], [1, 2], undefined],
    [
      "the longest shared beginning",
      [slot(0, [1, 2]), slot(1, [1, 2, 3])],
      [1, 2, 3, 4],
      { id: 1, sharedTokens: 3 },
    ],
    [
      "the longest unused when nothing is shared",
      [slot(0, [9], 20), slot(1, [8], 10)],
      [1, 2],
      { id: 1, sharedTokens: 0 },
    ],
    [
      "a long history is not destroyed for a few tokens",
      [slot(0, range(0, 100), 5), slot(1, [7], 6), slot(2, [], 0)],
      [0, 1, 2, ...range(500, 600)],
      { id: 2, sharedTokens: 0 },
    ],
    [
      "most of the prompt is shared, though little of the history",
      [slot(0, range(0, 1000), 5), slot(1, [], 0)],
      [...range(0, 90), 5000],
      { id: 0, sharedTokens: 90 },
    ],
  ] as const)("%s", (...[, free, prompt, expected]) => {
    expect(chooseSlot(free, prompt)).toEqual(expected);
  });
});
