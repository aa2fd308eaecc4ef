import { expect, test } from "vitest";
import { orderOfLoads, sharesExist, type Load } from "../../../../src/controller/place/search/load-order.ts";

const load = (devices: readonly number[], mib: number, renews?: readonly number[]): Load => ({
  devices,
  mib,
  sizeKnown: true,
  renews,
});

const FREE = [23_700, 12_000, 24_000];
const FULL = [load([0], 21_000), load([0, 1], 3500), load([0, 2], 20_500), load([1, 2], 14_500)];

test("a copy on one device comes after a spread one where that is the only order in which all of them fit", () => {
  expect(orderOfLoads(FREE, FULL, { left: 100 })).toEqual({ order: [1, 0, 2, 3], early: [] });
});

test("when all orders were tried and none fits, there is none", () => {
  const effort = { left: 100 };
  expect(orderOfLoads([23_700, 12_000, 23_700], FULL, effort)).toBeUndefined();
  expect(effort.left).toBeGreaterThan(0);
});

test("a search that may not try everything says so", () => {
  const effort = { left: 2 };
  expect(orderOfLoads(FREE, FULL, effort)).toBeUndefined();
  expect(effort.left).toBeLessThan(0);
});

test("two that do not touch each other are tried in one order only", () => {
  const effort = { left: 1000 };
  // The last one fits nowhere, and what is free in all is enough: each device on its own is not.
  const apart = [load([0], 1000), load([1], 1000), load([2], 1000), load([3], 1000), load([0, 1], 0)];
  expect(orderOfLoads([1000, 1000, 1000, 1000], apart, effort)).toEqual({
    order: [2, 3, 4, 0, 1],
    early: [],
  });
  expect(1000 - effort.left).toBeLessThan(40);
});

test("a renewal gives back what its old copy holds when its turn comes", () => {
  const order = orderOfLoads([0], [load([0], 500), load([0], 400, [1000])], { left: 100 });
  expect(order).toEqual({ order: [1, 0], early: [] });
});

test("an old copy leaves before anybody is loaded where its renewal would take what another one needs", () => {
  const order = orderOfLoads([0, 1000], [load([0], 1000), load([0, 1], 1000, [1100, 0])], { left: 100 });
  expect(order).toEqual({ order: [0, 1], early: [1] });
});

test.each([
  [
    "one set with room for both",
    [
      [0b11, 5],
      [0b11, 5],
    ],
    true,
  ],
  [
    "one set without",
    [
      [0b11, 5],
      [0b11, 6],
    ],
    false,
  ],
  [
    "two sets that share the device with room",
    [
      [0b011, 6],
      [0b110, 6],
    ],
    true,
  ],
  [
    "two sets that need more of it than there is",
    [
      [0b011, 9],
      [0b101, 9],
    ],
    false,
  ],
] as const)("shares: %s", (_what, wanted, exist) => {
  const demands = wanted.map(([devices, mib]) => ({ devices, mib }));
  expect(sharesExist([2, 8, 4], demands)).toBe(exist);
});
