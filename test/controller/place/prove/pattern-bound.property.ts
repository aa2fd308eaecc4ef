import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedSimplex } from "../../../../src/controller/place/prove/bounded-simplex.ts";
import { packingBound, type WantedItems } from "../../../../src/controller/place/prove/pattern-bound.ts";

const item = fc.record({
  mib: fc.integer({ min: 1, max: 30 }).map((size) => size * 97),
  width: fc.constant(1),
  count: fc.integer({ min: 1, max: 2 }),
  worth: fc.constantFrom(1, 1, 4, 16),
});

/** The most that can be packed, by trying everything. */
function mostByTrying(items: readonly WantedItems[], rooms: readonly number[]): number {
  const singles = items.flatMap(({ count, ...one }) => Array.from({ length: count }, () => one));
  const free = [...rooms];
  const from = (index: number): number => {
    const single = singles[index];
    if (single === undefined) return 0;
    let best = from(index + 1);
    for (const [device, room] of free.entries()) {
      if (room < single.mib) continue;
      free[device] = room - single.mib;
      best = Math.max(best, single.worth + from(index + 1));
      free[device] = room;
    }
    return best;
  };
  return from(0);
}

describe("the pattern bound", () => {
  test("is never below the best packing, and seldom far above", () => {
    let slack = 0;
    let total = 0;
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 300, max: 3000 }), { minLength: 1, maxLength: 3 }),
        (items, rooms) => {
          const best = mostByTrying(items, rooms);
          const bound = packingBound(items, rooms);
          total += best;
          slack += bound - best;
          expect(bound).toBeGreaterThanOrEqual(best - 1e-6);
        },
      ),
      { numRuns: 400 },
    );
    expect(slack / total).toBeLessThan(0.15);
  });

  test("sees what volume does not: two thirds of a device fit once", () => {
    const items = [{ mib: 6000, width: 1, count: 20, worth: 1 }];
    expect(
      packingBound(
        items,
        Array.from({ length: 10 }, () => 9000),
      ),
    ).toBeCloseTo(10, 6);
  });

  test("pours copies on several devices over all of them", () => {
    const items = [{ mib: 15_000, width: 2, count: 3, worth: 1 }];
    expect(packingBound(items, [10_000, 10_000, 10_000])).toBeCloseTo(2, 1);
  });

  test("counts what takes no memory", () => {
    expect(packingBound([{ mib: 0, width: 1, count: 3, worth: 2 }], [])).toBe(6);
    expect(packingBound([{ mib: 0, width: 1, count: 3, worth: 2 }], [100])).toBe(6);
  });
});

describe("the bounded simplex method", () => {
  test("prices one shared limit as greed would", () => {
    const column = fc.record({
      cost: fc.integer({ min: 1, max: 20 }),
      size: fc.integer({ min: 1, max: 9 }),
      upper: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 60 }),
        (columns, limit) => {
          const simplex = new BoundedSimplex([limit]);
          for (const { cost, size, upper } of columns)
            simplex.addColumn({ rows: [0], values: [size], cost, upper });
          expect(simplex.solve(200)).toBe(true);
          const price = simplex.duals()[0] ?? 0;
          const dual = columns.reduce(
            (total, { cost, size, upper }) => total + upper * Math.max(0, cost - price * size),
            limit * price,
          );
          let left = limit;
          let greedy = 0;
          for (const { cost, size, upper } of columns.toSorted(
            (one, two) => two.cost / two.size - one.cost / one.size,
          )) {
            const taken = Math.min(upper, left / size);
            greedy += taken * cost;
            left -= taken * size;
          }
          expect(dual).toBeCloseTo(greedy, 6);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("solves a textbook case, and again with a column added", () => {
    const simplex = new BoundedSimplex([4, 12, 18]);
    simplex.addColumn({ rows: [0, 2], values: [1, 3], cost: 3, upper: Infinity });
    simplex.addColumn({ rows: [1, 2], values: [2, 2], cost: 5, upper: Infinity });
    expect(simplex.solve(50)).toBe(true);
    expect([...simplex.duals()].map((price) => Math.round(price * 1000) / 1000)).toEqual([0, 1.5, 1]);
    simplex.addColumn({ rows: [0], values: [1], cost: 2, upper: Infinity });
    expect(simplex.solve(50)).toBe(true);
    expect(simplex.duals()[0]).toBeGreaterThan(0);
  });
});
