import fc from "fast-check";
import { expect, test } from "vitest";
import { integerRangePatterns } from "../../../src/worker/answer/integer-range-pattern.ts";

const matches = (minimum: bigint, maximum: bigint, value: bigint): boolean =>
  integerRangePatterns(minimum, maximum).some((pattern) => new RegExp(`^${pattern}$`).test(String(value)));

test("a value matches exactly when it is in the range", () => {
  const near = fc.bigInt({ min: -1200n, max: 1200n });
  fc.assert(
    fc.property(near, near, near, (a, b, value) => {
      const [minimum, maximum] = a <= b ? [a, b] : [b, a];
      expect(matches(minimum, maximum, value)).toBe(value >= minimum && value <= maximum);
    }),
    { numRuns: 3000 },
  );
});

test("the bounds themselves are in, their neighbours are out, at any size", () => {
  const any = fc.bigInt({ min: BigInt(Number.MIN_SAFE_INTEGER), max: BigInt(Number.MAX_SAFE_INTEGER) });
  fc.assert(
    fc.property(any, any, (a, b) => {
      const [minimum, maximum] = a <= b ? [a, b] : [b, a];
      expect(matches(minimum, maximum, minimum)).toBe(true);
      expect(matches(minimum, maximum, maximum)).toBe(true);
      expect(matches(minimum, maximum, minimum - 1n)).toBe(false);
      expect(matches(minimum, maximum, maximum + 1n)).toBe(false);
    }),
  );
});
