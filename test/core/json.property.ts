import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/core/json.ts";

const KEYS = fc.constantFrom("b", "a", "B", "10", "9", "1", "__proto__", "toString", "ä", "");

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(null, true, 0, -0, 1.5, "", 'x"\n', undefined),
    fc.array(tie("value"), { maxLength: 3 }),
    fc
      .array(fc.tuple(KEYS, tie("value")), { maxLength: 5 })
      .map((entries): unknown => Object.fromEntries(entries)),
  ),
}));

/** As it is written down, key by key. */
function spelled(said: unknown): string {
  if (Array.isArray(said)) return `[${said.map((item) => spelled(item)).join(",")}]`;
  if (typeof said !== "object" || said === null) return JSON.stringify(said) ?? "null";
  const entries = Object.entries(said).filter(([, inner]) => inner !== undefined);
  const inOrder = entries.toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${inOrder.map(([key, inner]) => `${JSON.stringify(key)}:${spelled(inner)}`).join(",")}}`;
}

test("canonical JSON has its keys in order, names that are numbers and __proto__ among them", () => {
  fc.assert(
    fc.property(value, (said) => {
      expect(canonicalJson(said)).toBe(spelled(said));
    }),
    { numRuns: 3000 },
  );
});
