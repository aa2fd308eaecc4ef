import { expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { placementWorld, type LoadedSketch } from "../../support/fleet/fleet-generator.ts";
import { afterPlan, quickPlan as plan } from "../observed-fleet-builders.ts";

const DEVICES = [24_576, 24_576, 24_576];

const on = (id: string, devices: readonly number[], mib: readonly number[]): LoadedSketch => ({
  id,
  devices,
  mib,
});

/** What the first round leaves behind shows how all of them fit, and there is a way to that from the start. */
const shown = placementWorld({
  neurons: [
    {
      name: "a",
      devices: DEVICES,
      loaded: [{ ...on("m0", [0, 1], [15_379, 14_743]), current: false }, on("m6", [1, 2], [8925, 15_858])],
    },
    { name: "b", devices: DEVICES, loaded: [on("m1", [0, 2], [5026, 4944])] },
  ],
  models: [30_122, 9970, 38_612, 12_814, 8583, 20_921, 24_783].map((mib, number) => ({
    id: `m${number}`,
    mib,
    replicas: 1,
    width: 2,
  })),
});

test("a later round shows what can be done from the start: nobody is loaded twice, and unchanged is what no row touches", () => {
  const document = plan(shown.fleet, shown.observed);
  const rows = document.changes.map(({ id }) => id);
  expect(rows).toHaveLength(7);
  expect(rows.filter((id) => id.includes("m3"))).toEqual(["load m3@b"]);
  expect(document.unchanged).toBe(1);
  expect(document.assignments.map((copy) => `${copy.model_id} ${copy.status} ${copy.moved_from}`)).toEqual([
    "m0 renewed null",
    "m1 moved b",
    "m2 new null",
    "m3 new null",
    "m4 new null",
    "m5 new null",
    "m6 kept null",
  ]);
  expect(verifyPlan(document).findings).toEqual([]);
});

/**
 * All five copies fit, and no order of their loads does it: m4 takes the shares that it must have only while m1 is
 * where it cannot stay.
 */
const twice = placementWorld({
  neurons: [
    { name: "a", devices: [24_000, 23_700, 23_700, 24_000] },
    { name: "b", devices: [24_000, 24_000, 24_000] },
  ],
  models: [
    { id: "m1", mib: 17_000, replicas: 2, width: 2 },
    { id: "m4", mib: 42_500, replicas: 1, width: 3, pins: ["a"] },
    { id: "m5", mib: 35_500, replicas: 2, width: 2 },
  ],
});

test("where no order of the loads places everybody, a copy is loaded twice, and then there is nothing left to do", () => {
  const document = plan(twice.fleet, twice.observed);
  const ofM1 = document.changes.filter(({ id }) => id.includes("m1@a"));
  expect(ofM1.map(({ id }) => id)).toEqual(["load m1@a", "unload m1@a", "load m1@a again"]);
  expect(document.unplaced).toEqual([]);
  expect(document.assignments.map((copy) => `${copy.status} ${copy.moved_from}`)).toEqual(
    Array.from({ length: 5 }, () => "new null"),
  );
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(twice.fleet, afterPlan(twice.observed, document)).changes).toEqual([]);
});

/** World 1699 of seed -653674171: m1 has to be loaded before m5, though m5 is on one device and m1 on two. */
const ordered = placementWorld({
  neurons: [{ name: "a", devices: [23_700, 12_000, 24_000] }],
  models: [
    { id: "m1", mib: 3500, replicas: 1, width: 2, floorMib: 12_000, priority: 200, protect: true },
    { id: "m2", mib: 20_500, replicas: 1, width: 2, floorMib: 8000 },
    { id: "m5", mib: 21_000, replicas: 1 },
    { id: "m6", mib: 14_500, replicas: 1, width: 2, protect: true },
    { id: "m7", mib: 27_500, replicas: 1, width: 2, priority: 50 },
  ],
});

test("spread copies are loaded in the order in which all of them fit", () => {
  const document = plan(ordered.fleet, ordered.observed);
  expect(document.unplaced.map(({ model_id }) => model_id)).toEqual(["m7"]);
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(ordered.fleet, afterPlan(ordered.observed, document)).changes).toEqual([]);
});

/*
 * `wanted` fits on b once m1 has left it; m1 goes to a once m4 has left that, and m4 comes to b, where it is split while m1 is
 * still there and takes what was meant for `wanted`.
 */
const inTurn = placementWorld({
  neurons: [
    {
      name: "a",
      devices: DEVICES.slice(1),
      loaded: [{ ...on("m0", [1], [13_914]), current: false }, on("m4", [0, 1], [2735, 2794])],
    },
    { name: "b", devices: DEVICES.slice(1), loaded: [on("m1", [0, 1], [6312, 4387])] },
  ],
  models: [
    { id: "m0", mib: 13_914, replicas: 1 },
    { id: "m1", mib: 10_699, replicas: 1, width: 2 },
    { id: "m2", mib: 20_469, replicas: 1 },
    { id: "m4", mib: 5529, replicas: 1, width: 2 },
    { id: "m5", mib: 19_559, replicas: 1 },
    { id: "wanted", mib: 21_875, replicas: 1 },
  ],
});

test("a copy that the order of the changes leaves without room comes in a second round", () => {
  const document = plan(inTurn.fleet, inTurn.observed);
  expect(document.changes.map(({ id }) => id).filter((id) => /wanted|m4/u.test(id))).toEqual([
    "load m4@b",
    "unload m4@a",
    "unload m4@b",
    "load wanted@b",
    "load m4@b again",
  ]);
  expect([document.deferred, document.unplaced]).toEqual([[], []]);
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(inTurn.fleet, afterPlan(inTurn.observed, document)).changes).toEqual([]);
});

/** m7 needs twice its memory with its new settings, and m3 and m4 take what is free by the time it would be renewed. */
const renewal = placementWorld({
  neurons: [
    {
      name: "a",
      devices: [24_000, 16_000],
      loaded: [on("m2", [0, 1], [18_695, 14_305]), { ...on("m6", [0], [3850]), current: false }],
    },
    { name: "b", devices: [23_700, 24_000], loaded: [{ ...on("m7", [0], [8750]), current: false }] },
  ],
  models: [
    { id: "m1", mib: 37_500, replicas: 1, width: 2 },
    { id: "m2", mib: 33_000, replicas: 1, width: 2 },
    { id: "m3", mib: 8500, replicas: 1 },
    { id: "m4", mib: 29_500, replicas: 1, width: 2, protect: true },
    { id: "m5", mib: 31_000, replicas: 1, width: 2 },
    { id: "m6", mib: 3500, replicas: 1 },
    { id: "m7", mib: 17_500, replicas: 1, protect: true },
  ],
});

test("a copy is not taken down for new settings that the order of the changes leaves without room", () => {
  const document = plan(renewal.fleet, renewal.observed);
  const after = afterPlan(renewal.observed, document);
  const loaded = after.neurons.flatMap((neuron) =>
    neuron.reachable ? neuron.models.map(({ id }) => id) : [],
  );
  expect(loaded).toContain("m7");
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(renewal.fleet, after).changes).toEqual([]);
});

/** Round after round: m3 went to a so that m1 finds room on b, which it did not find, and came back. */
const roundTrip = placementWorld({
  neurons: [
    {
      name: "a",
      devices: [23_700, 24_000, 24_000],
      loaded: [{ ...on("m4", [1, 2], [4169, 5331]), current: false }, on("m7", [1, 2], [7795, 6205])],
    },
    { name: "b", devices: [23_700, 23_700, 16_000], loaded: [on("m3", [0, 1], [9615, 12_885])] },
  ],
  models: [
    { id: "m1", mib: 41_500, replicas: 1, width: 2 },
    { id: "m2", mib: 31_000, replicas: 1, width: 2 },
    { id: "m3", mib: 22_500, replicas: 1, width: 2 },
    { id: "m4", mib: 19_000, replicas: 1, pins: ["a"], protect: true },
    { id: "m5", mib: 5000, replicas: 1 },
    { id: "m6", mib: 6500, replicas: 1, width: 2 },
    { id: "m7", mib: 14_000, replicas: 1, width: 2, pins: ["b"], protect: true },
  ],
});

test("nobody leaves its place for a copy that does not come in the end", () => {
  const document = plan(roundTrip.fleet, roundTrip.observed);
  expect(document.changes.filter(({ model_id: id }) => id === "m3")).toEqual([]);
  expect(document.changes.filter(({ model_id: id }) => id === "m1")).toEqual([]);
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(roundTrip.fleet, afterPlan(roundTrip.observed, document)).changes).toEqual([]);
});
