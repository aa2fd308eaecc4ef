import { describe, expect, test } from "vitest";
import { nextPieces, promptBudget } from "../../../src/worker/engine/step-plan.ts";

const prompt = (slot: number, remainingTokens: number, passedOver = 0) => ({
  slot,
  remainingTokens,
  arrival: slot,
  passedOver,
});

const room = (
  budgetTokens: number,
  { mostTokens = 500, granted = [] as readonly number[], onGpu = false } = {},
) => ({
  budgetTokens,
  mostTokens,
  granted,
  onGpu,
});

describe("prompts that get a piece of the next step", () => {
  test("the shortest is computed first and the rest of the step goes to the next", () => {
    const waiting = [prompt(0, 900), prompt(1, 40), prompt(2, 500)];
    expect(nextPieces(waiting, room(256, { onGpu: true }))).toEqual([
      { slot: 1, tokens: 40 },
      { slot: 2, tokens: 216 },
    ]);
    // On a CPU its first 40 tokens would be computed one by one.
    expect(nextPieces(waiting, room(256))).toEqual([{ slot: 1, tokens: 40 }]);
  });

  test.each([true, false])("equal prompts end one after the other, not all at the end (GPU: %j)", (onGpu) => {
    expect(nextPieces([prompt(0, 512), prompt(1, 512), prompt(2, 512)], room(256, { onGpu }))).toEqual([
      { slot: 0, tokens: 256 },
    ]);
  });

  test.each([true, false])("a long prompt that was passed over often goes first (GPU: %j)", (onGpu) => {
    expect(nextPieces([prompt(0, 4000, 6), prompt(1, 40, 2)], room(65, { onGpu }))).toEqual([
      { slot: 0, tokens: 65 },
    ]);
  });

  test.each([true, false])("not filled up with slivers, but a short rest is computed (GPU: %j)", (onGpu) => {
    expect(nextPieces([prompt(0, 60), prompt(1, 500)], room(65, { onGpu }))).toEqual([
      { slot: 0, tokens: 60 },
    ]);
    expect(nextPieces([prompt(0, 60), prompt(1, 62), prompt(2, 3)], room(65, { onGpu }))).toEqual([
      { slot: 2, tokens: 3 },
      { slot: 0, tokens: 60 },
    ]);
    expect(nextPieces([prompt(0, 500)], room(8, { onGpu }))).toEqual([{ slot: 0, tokens: 8 }]);
  });

  test.each([
    ["a rest that would be shorter is computed with it", [prompt(0, 129)], room(65), [129]],
    ["a rest that is long enough is not", [prompt(0, 130)], room(65), [65]],
    ["a rest that the batch has no room for is not", [prompt(0, 300)], room(250, { mostTokens: 299 }), [250]],
    ["short prompts share a step", [prompt(0, 20), prompt(1, 64), prompt(2, 30)], room(256), [20, 30, 64]],
    ["long ones of the same length do", [prompt(0, 100), prompt(1, 100)], room(256), [100, 100]],
    ["long ones of much unequal length do", [prompt(0, 66), prompt(1, 300)], room(256), [66, 190]],
    ["long ones of about the same length do not", [prompt(0, 66), prompt(1, 129)], room(256), [66]],
    ["short and long ones do not", [prompt(0, 64), prompt(1, 300)], room(500), [64]],
    ["nothing joins a piece that it cuts", [prompt(0, 20)], room(256, { granted: [100] }), []],
    ["what was granted already counts", [prompt(0, 100)], room(150, { granted: [100] }), []],
  ])("on a CPU in pieces of more than 64 tokens: %s", (...[, waiting, given, sizes]) => {
    expect(nextPieces(waiting, given).map(({ tokens }) => tokens)).toEqual(sizes);
  });

  test("no room, no piece", () => {
    expect(nextPieces([prompt(0, 5)], room(0, { granted: [5] }))).toEqual([]);
    expect(nextPieces([], room(64))).toEqual([]);
  });
});

describe("tokens of prompts in a step", () => {
  const cpu = { batchTokens: 512, slots: 4, onGpu: false, answersWait: false, promptTokenMs: undefined };
  test.each([
    ["nothing is measured yet", {}, 256],
    ["nothing is measured and answers wait", { answersWait: true }, 65],
    ["a slow model while answers wait", { answersWait: true, promptTokenMs: 20 }, 65],
    ["a fast model while answers wait", { answersWait: true, promptTokenMs: 0.75 }, 200],
    ["a fast model", { promptTokenMs: 0.75 }, 508],
    ["a GPU", { onGpu: true, answersWait: true, promptTokenMs: 20 }, 508],
    ["a batch of the slots' size", { batchTokens: 4 }, 1],
  ])("%s", (...[, more, tokens]) => {
    expect(promptBudget({ ...cpu, ...more }).budgetTokens).toBe(tokens);
  });
});
