import { describe, expect, test } from "vitest";
import { decodeThreads } from "../../../src/worker/engine/compute-plan.ts";

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
