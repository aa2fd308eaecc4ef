import { describe, expect, test } from "vitest";
import { chooseDonor, chooseSlot } from "../../../src/worker/engine/choose-slot.ts";

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

  test.each([
    ["the neighbour of a busy one, of those that hold nothing", [slot(0, [], 0), slot(2, [], 0)], [3], 2],
    ["the one that joins two runs", [slot(0, [], 0), slot(2, [], 0)], [1, 3], 2],
    ["an unused one, however far, before a history beside it", [slot(1, [7], 5), slot(3, [], 0)], [0], 3],
    ["a neighbour, of the longest unused half", [slot(0, [5], 1), slot(1, [6], 2), slot(3, [7], 3)], [2], 1],
    ["never the latest history for being a neighbour", [slot(0, [5], 1), slot(2, [6], 9)], [3], 0],
    ["a history that is shared, however far", [slot(0, [1, 2], 1), slot(2, [], 0)], [3], 0],
  ] as const)("beside busy slots: %s", (...[, free, busy, id]) => {
    expect(chooseSlot(free, [1, 2, 3], busy)?.id).toBe(id);
  });
});

const prompt = range(0, 400);
const donor = (name: string, tokens: readonly number[], began: number) => ({ name, tokens, began });

describe("the slot that a prompt takes its beginning from", () => {
  test.each([
    {
      name: "is the one that shares most",
      donors: [donor("a", range(0, 200), 1), donor("b", range(0, 300), 2)],
      held: 0,
      chosen: "b",
    },
    {
      name: "is of equal ones that which is there soonest",
      donors: [donor("a", prompt, 3), donor("b", prompt, 1), donor("c", prompt, 0)],
      held: 0,
      chosen: "c",
    },
    { name: "is none for what is computed as fast", donors: [donor("a", range(0, 120), 0)], held: 0 },
    { name: "is none for what the slot holds itself", donors: [donor("a", range(0, 300), 0)], held: 250 },
    { name: "is none that begins otherwise", donors: [donor("a", [9, ...range(1, 400)], 0)], held: 0 },
  ])("$name", ({ donors, held, chosen }) => {
    expect(chooseDonor(donors, prompt, held)?.name).toBe(chosen);
  });

  test("never gives the last token, whose output is the first of the answer", () => {
    expect(chooseDonor([donor("a", prompt, 0)], prompt, 0)?.sharedTokens).toBe(prompt.length - 1);
  });
});
