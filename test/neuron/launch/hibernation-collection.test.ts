import { expect, test } from "vitest";
import { statesToRemove } from "../../../src/neuron/launch/hibernation-collection.ts";

const state = (path: string, bytes: number, lastUsedMs: number) => ({ path, bytes, lastUsedMs });
const limits = { mostBytes: 100, oldestMs: 1000, nowMs: 10_000 };

test.each([
  ["all that fits stays", [state("a", 50, 9500), state("b", 50, 9600)], []],
  ["the longest unused goes first", [state("a", 60, 9600), state("b", 60, 9500)], ["b"]],
  ["what is too old goes though there is room", [state("a", 1, 8999), state("b", 1, 9000)], ["a"]],
  ["one that alone is too much goes", [state("a", 101, 9900)], ["a"]],
  ["no more goes than must", [state("a", 90, 9100), state("b", 30, 9200), state("c", 60, 9300)], ["a"]],
])("%s", (_name, states, gone) => {
  expect(statesToRemove(states, limits).map(({ path }) => path)).toEqual(gone);
});
