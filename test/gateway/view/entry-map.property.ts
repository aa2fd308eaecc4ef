import fc from "fast-check";
import { expect, test } from "vitest";
import { plainMap, withEntry, withoutEntry } from "../../../src/gateway/view/entry-map.ts";

/** Few enough keys that they are met again, and enough that the map is cut into parts, and again. */
const key = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map((n) => `neuron-${n % 17} model/${n}`),
  fc.string(),
);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ key, value: fc.integer() }) },
  { weight: 1, arbitrary: fc.record({ key, value: fc.constant(null) }) },
);

const byKey = (one: [string, number], other: [string, number]) => (one[0] < other[0] ? -1 : 1);

test("it holds what a Map would hold, and what was there before stays as it was", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600, size: "max" }), (steps) => {
      const expected = new Map<string, number>();
      let map: ReadonlyMap<string, number> = new Map();
      for (const { key: name, value } of steps) {
        const before = map;
        const contents = new Map(before);
        if (value === null) {
          expected.delete(name);
          map = withoutEntry(map, name);
        } else {
          expected.set(name, value);
          map = withEntry(map, name, value);
        }
        expect(map.get(name)).toBe(expected.get(name));
        expect(map.has(name)).toBe(expected.has(name));
        expect(map.size).toBe(expected.size);
        expect(new Map(before)).toEqual(contents);
      }
      expect([...map].toSorted(byKey)).toEqual([...expected].toSorted(byKey));
      expect([...map.keys()]).toEqual([...map].map(([name]) => name));
      expect([...map.values()]).toEqual([...map].map(([, value]) => value));
      expect(plainMap(map)).toEqual(expected);
      expect(plainMap(map)).toBeInstanceOf(Map);
    }),
    { numRuns: 60 },
  );
});

test("without a key that it has not, it is itself", () => {
  let map: ReadonlyMap<string, number> = new Map();
  for (let n = 0; n < 200; n += 1) map = withEntry(map, `key ${n}`, n);
  expect(withoutEntry(map, "another")).toBe(map);
});
