import fc from "fast-check";
import { expect, test } from "vitest";
import { FirstOfMany } from "../../../src/controller/schedule/first-of-many.ts";

test("whatever is set and taken back, the first is the least of what is there", () => {
  const step = fc.record({ key: fc.nat(5), value: fc.option(fc.nat(20), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const values = new FirstOfMany<number, number>((left, right) => left - right);
      const model = new Map<number, number>();
      for (const { key, value } of steps) {
        values.set(key, value);
        if (value === undefined) model.delete(key);
        else model.set(key, value);
        expect(values.first()).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
      }
    }),
  );
});
