import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesPattern } from "../../../src/fleet/schema/model-pattern.ts";

const few = (letters: string) => fc.string({ unit: fc.constantFrom(...letters.split("")), maxLength: 12 });

test("a pattern matches what the same regular expression matches", () => {
  fc.assert(
    fc.property(few("ab/*?"), few("ab/"), (pattern, id) => {
      const expression = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      expect(matchesPattern(pattern, id)).toBe(expression.test(id));
    }),
    { numRuns: 5000 },
  );
});

test("characters of regular expressions are only themselves", () => {
  expect(matchesPattern("a.b+", "a.b+")).toBe(true);
  expect(matchesPattern("a.b", "axb")).toBe(false);
});

test("many stars do not stall", () => {
  expect(matchesPattern(`${"*a".repeat(100)}b`, "a".repeat(5000))).toBe(false);
});
