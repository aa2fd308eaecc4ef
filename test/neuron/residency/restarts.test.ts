import { expect, test } from "vitest";
import {
  afterLoss,
  awaitsRestart,
  withoutAwaited,
  type Restarts,
} from "../../../src/neuron/residency/restarts.ts";

const NONE: Restarts = new Map();

test("a model that dies again and again comes back later each time; one that lived long comes back at once", () => {
  const delays: number[] = [];
  let restarts = NONE;
  for (const atMs of [0, 1000, 5000, 20_000, 60_000, 100_000, 800_000]) {
    const lost = afterLoss(restarts, "a", { instance: `at-${atMs}`, atMs });
    restarts = lost.restarts;
    delays.push(lost.delayMs);
  }
  expect(delays).toEqual([0, 2000, 10_000, 30_000, 120_000, 120_000, 0]);
});

test("a restart is awaited once, and not when somebody wants something else meanwhile", () => {
  const { restarts } = afterLoss(NONE, "a", { instance: "one", atMs: 0 });
  expect(awaitsRestart(restarts, "a", "one")).toBe(true);
  expect(awaitsRestart(restarts, "a", "another")).toBe(false);
  const replaced = withoutAwaited(restarts, "a");
  expect(awaitsRestart(replaced, "a", "one")).toBe(false);
  expect(afterLoss(replaced, "a", { instance: "two", atMs: 1 }).delayMs).toBe(2000);
});
