import { describe, expect, test } from "vitest";
import { nextPieces, promptBudget } from "../../../src/worker/engine/step-plan.ts";

const prompt = (slot: number, remainingTokens: number, passedOver = 0) => ({
  slot,
  remainingTokens,
  arrival: slot,
  passedOver,
});

describe("prompts that get a piece of the next step", () => {
  test("the shortest is computed first and the rest of the step goes to the next", () => {
    expect(nextPieces([prompt(0, 900), prompt(1, 40), prompt(2, 500)], 256)).toEqual([
      { slot: 1, tokens: 40 },
      { slot: 2, tokens: 216 },
    ]);
  });

  test("equal prompts end one after the other, not all at the end", () => {
    expect(nextPieces([prompt(0, 512), prompt(1, 512), prompt(2, 512)], 256)).toEqual([
      { slot: 0, tokens: 256 },
    ]);
  });

  test("a long prompt that was passed over often goes first", () => {
    expect(nextPieces([prompt(0, 4000, 6), prompt(1, 40, 2)], 64)).toEqual([{ slot: 0, tokens: 64 }]);
  });

  test("a step is not filled up with slivers, but a short rest is computed", () => {
    expect(nextPieces([prompt(0, 60), prompt(1, 500)], 64)).toEqual([{ slot: 0, tokens: 60 }]);
    expect(nextPieces([prompt(0, 60), prompt(1, 62), prompt(2, 3)], 64)).toEqual([
      { slot: 2, tokens: 3 },
      { slot: 0, tokens: 60 },
    ]);
    expect(nextPieces([prompt(0, 500)], 8)).toEqual([{ slot: 0, tokens: 8 }]);
  });

  test("no room, no piece", () => {
    expect(nextPieces([prompt(0, 5)], 0)).toEqual([]);
    expect(nextPieces([], 64)).toEqual([]);
  });
});

describe("tokens of prompts in a step", () => {
  const cpu = { batchTokens: 512, slots: 4, onGpu: false, answersWait: false, promptTokenMs: undefined };
  test.each([
    ["nothing is measured yet", {}, 256],
    ["nothing is measured and answers wait", { answersWait: true }, 64],
    ["a slow model while answers wait", { answersWait: true, promptTokenMs: 20 }, 64],
    ["a fast model while answers wait", { answersWait: true, promptTokenMs: 0.75 }, 200],
    ["a fast model", { promptTokenMs: 0.75 }, 508],
    ["a GPU", { onGpu: true, answersWait: true, promptTokenMs: 20 }, 508],
    ["a batch of the slots' size", { batchTokens: 4 }, 1],
  ])("%s", (...[, more, tokens]) => {
    expect(promptBudget({ ...cpu, ...more })).toBe(tokens);
  });
});
