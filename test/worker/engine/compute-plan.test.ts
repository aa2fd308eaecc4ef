import { describe, expect, test } from "vitest";
import { carefulThreads, isQuiet, threadCandidates } from "../../../src/worker/engine/compute-plan.ts";

describe("threads", () => {
  test.each([
    [1, undefined, false, 1, [1]],
    [2, undefined, false, 1, [1, 2]],
    [4, undefined, false, 3, [1, 3, 4]],
    [8, undefined, false, 7, [4, 7, 8]],
    [64, undefined, false, 16, [8, 16]],
    [16, undefined, true, 4, [4]],
    [2, 2, false, 2, [2]],
  ])("%i cores, asked for %s, offloaded %s", (...[mathCores, requested, fullyOffloaded, careful, tried]) => {
    const input = { mathCores, requested, fullyOffloaded };
    expect(carefulThreads(input)).toBe(careful);
    expect(threadCandidates(input)).toEqual(tried);
  });

  test("a machine is quiet while no more wants its cores than it has", () => {
    expect([isQuiet(1.4, 2), isQuiet(6, 2), isQuiet(6, 16)]).toEqual([true, false, true]);
  });
});
