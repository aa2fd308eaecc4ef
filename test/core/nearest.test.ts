import fc from "fast-check";
import { expect, test } from "vitest";
import { editDistance, nearest } from "../../src/core/nearest.ts";

test.each([
  ["", "", 0],
  ["pinned_no", "pinned_on", 1],
  ["kitten", "sitting", 3],
  ["abc", "", 3],
])("from %j to %j is %i edits", (left, right, distance) => {
  expect(editDistance(left, right)).toBe(distance);
});

test("the suggestion is what was most likely meant, or nothing", () => {
  expect(nearest("replcias", ["replicas", "parallel", "protect"])).toBe("replicas");
  expect(nearest("Qwen/qwen3-8b", ["Qwen/Qwen3-8B", "Qwen/Qwen3-32B"])).toBe("Qwen/Qwen3-8B");
  expect(nearest("banana", ["replicas", "parallel"])).toBeUndefined();
});

test("distance is symmetric and zero only for equal strings", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (left, right) => {
      expect(editDistance(left, right)).toBe(editDistance(right, left));
      expect(editDistance(left, right) === 0).toBe(left === right);
    }),
  );
});
