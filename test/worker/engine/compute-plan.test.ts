import { describe, expect, test } from "vitest";
import { decodeThreads, prefillPieceTokens } from "../../../src/worker/engine/compute-plan.ts";

describe("decode threads", () => {
  test.each([
    [1, undefined, false, 1],
    [2, undefined, false, 1],
    [4, undefined, false, 3],
    [64, undefined, false, 16],
    [16, undefined, true, 4],
    [2, 2, false, 2],
  ])("%i cores, asked for %s, offloaded %s: %i", (...[mathCores, requested, fullyOffloaded, threads]) => {
    expect(decodeThreads({ mathCores, requested, fullyOffloaded })).toBe(threads);
  });
});

describe("prefill pieces", () => {
  test.each([
    [512, true, true, 512],
    [512, false, false, 256],
    [512, false, true, 64],
    [32, false, true, 32],
  ])("batch %i, on GPU %s, others %s: %i", (...[batchTokens, onGpu, othersDecoding, tokens]) => {
    expect(prefillPieceTokens({ batchTokens, onGpu, othersDecoding })).toBe(tokens);
  });
});
