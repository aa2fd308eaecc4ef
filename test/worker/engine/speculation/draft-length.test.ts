import { describe, expect, test } from "vitest";
import {
  afterStep,
  firstDraftLength,
  type DraftLength,
} from "../../../../src/worker/engine/speculation/draft-length.ts";

const after = (steps: readonly (readonly [drafted: number, accepted: number])[]): DraftLength =>
  steps.reduce((length, [drafted, accepted]) => afterStep(length, { drafted, accepted }), firstDraftLength);

describe("the length of the next draft", () => {
  test("doubles after one that was right, up to sixteen", () => {
    expect(after([[4, 4]]).next).toBe(8);
    expect(
      after([
        [4, 4],
        [8, 8],
        [16, 16],
        [16, 16],
      ]).next,
    ).toBe(16);
  });

  test("is what was right and one more after one that was right in part", () => {
    expect(
      after([
        [4, 4],
        [8, 3],
      ]).next,
    ).toBe(4);
  });

  test("is short after one that was wrong, and there is none for a while after several", () => {
    expect(after([[4, 0]])).toMatchObject({ next: 2, rest: 0 });
    expect(
      after([
        [4, 0],
        [2, 0],
      ]).rest,
    ).toBe(4);
    expect(
      after([
        [4, 0],
        [2, 0],
        [2, 0],
      ]).rest,
    ).toBe(8);
  });

  test("comes back when the rest is over, and a right one ends the doubling", () => {
    const resting = after([
      [4, 0],
      [2, 0],
    ]);
    const rested = [1, 2, 3, 4].reduce((length) => afterStep(length, { drafted: 0, accepted: 0 }), resting);
    expect(rested).toMatchObject({ rest: 0, failures: 2 });
    expect(afterStep(rested, { drafted: 2, accepted: 2 })).toMatchObject({ rest: 0, failures: 0 });
  });
});
