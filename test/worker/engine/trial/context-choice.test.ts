import { describe, expect, test } from "vitest";
import {
  chooseContext,
  contextsToTry,
  usualContext,
  type ContextQuestion,
} from "../../../../src/worker/engine/trial/context-choice.ts";

const OPEN: ContextQuestion = {
  onGpu: false,
  contextTokens: 4096,
  declaredBatch: undefined,
  declaredFlash: undefined,
  quantizedCache: false,
};

describe("what is tried", () => {
  test("differs from the usual in one setting: smaller batches on a CPU, larger ones on a GPU", () => {
    expect(contextsToTry(OPEN)).toEqual([
      { batchTokens: 512, flashAttention: null },
      { batchTokens: 512, flashAttention: false },
      { batchTokens: 256, flashAttention: null },
      { batchTokens: 128, flashAttention: null },
    ]);
    const onGpu = contextsToTry({ ...OPEN, onGpu: true }).map(({ batchTokens }) => batchTokens);
    expect(onGpu).toEqual([512, 512, 1024, 2048]);
  });

  test("is only what nobody declared and the context has room for", () => {
    expect(contextsToTry({ ...OPEN, declaredBatch: 64, declaredFlash: true })).toEqual([]);
    expect(contextsToTry({ ...OPEN, declaredBatch: 64 }).map(({ batchTokens }) => batchTokens)).toEqual([
      64, 64,
    ]);
    expect(contextsToTry({ ...OPEN, onGpu: true, contextTokens: 600, quantizedCache: true })).toEqual([]);
    expect(usualContext({ ...OPEN, contextTokens: 256 }).batchTokens).toBe(256);
  });
});

describe("what is chosen", () => {
  const [usual, plain, half] = contextsToTry(OPEN);
  const tried = (costs: readonly (readonly number[])[]) =>
    [usual, plain, half].flatMap((settings, at) =>
      settings === undefined ? [] : [{ settings, costsMs: costs[at] ?? [] }],
    );

  test("is the usual one, unless another is better beyond doubt in its best round", () => {
    expect(
      chooseContext(
        tried([
          [100, 130],
          [96, 97],
          [95, 200],
        ]),
      ),
    ).toEqual(usual);
    expect(
      chooseContext(
        tried([
          [100, 130],
          [300, 80],
          [110, 140],
        ]),
      ),
    ).toEqual(plain);
  });

  test("is found for each setting by itself", () => {
    expect(chooseContext(tried([[100], [80], [90]]))).toEqual({ batchTokens: 256, flashAttention: false });
  });

  test("is nothing where nothing was tried", () => {
    expect(chooseContext([])).toBeUndefined();
  });
});
