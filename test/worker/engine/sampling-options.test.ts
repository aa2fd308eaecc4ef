import { describe, expect, test } from "vitest";
import {
  readFileSampling,
  resolveSampling,
  SAMPLING_CONSTANTS,
} from "../../../src/worker/engine/sampling-options.ts";

describe("sampling", () => {
  test("constants when neither request nor file says otherwise", () => {
    expect(resolveSampling({}, {}, 42)).toMatchObject({
      temperature: SAMPLING_CONSTANTS.temperature,
      topP: SAMPLING_CONSTANTS.topP,
      topK: SAMPLING_CONSTANTS.topK,
      minP: SAMPLING_CONSTANTS.minP,
      repetitionPenalty: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      seed: 42,
    });
  });

  test("the request wins over the file, the file over the constants", () => {
    const file = readFileSampling({
      temp: 0.3,
      top_k: 20,
      penalty_repeat: 1.2,
      top_p: "0.5",
      min_p: Number.NaN,
    });
    expect(file).toEqual({ temperature: 0.3, topK: 20, repetitionPenalty: 1.2 });
    const resolved = resolveSampling({ temperature: 0, top_p: 0.1, repeat_penalty: 1.5 }, file, 1);
    expect(resolved).toMatchObject({ temperature: 0, topP: 0.1, topK: 20, repetitionPenalty: 1.5 });
  });

  test.each([
    [-1, 7],
    [5, 5],
    [0xffff_ffff, 0],
    [0xffff_ffff + 3, 3],
  ])("seed %i becomes %i", (seed, expected) => {
    expect(resolveSampling({ seed }, {}, 7).seed).toBe(expected);
  });

  test("a negative top_k means no limit, and biases keep their token ids", () => {
    const resolved = resolveSampling({ top_k: -1, logit_bias: { 12: -100, 7: 2.5 } }, {}, 1);
    expect(resolved.topK).toBe(0);
    expect([...resolved.logitBias]).toEqual([
      [7, 2.5],
      [12, -100],
    ]);
  });
});
