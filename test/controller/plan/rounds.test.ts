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

/** What the first round leaves behind offers a place to a model that had none, and moves others for it. */
const { fleet, observed } = placementWorld({
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

test("of several rounds, a copy is unchanged that none touches, and comes from where it was before them all", () => {
  const document = plan(fleet, observed);
  const rows = document.changes.map(({ id }) => id);
  expect(rows).toEqual(expect.arrayContaining(["load m3@a", "load m3@b", "unload m1@b", "load m1@a"]));
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

test("nobody leaves its place for a copy that the order of the changes leaves without room", () => {
  const document = plan(inTurn.fleet, inTurn.observed);
  expect(document.changes.map(({ id }) => id)).toEqual(["load m2@a", "load m5@b", "replace m0@a"]);
  expect(document.deferred.map(({ id }) => id)).toEqual(["load wanted@b"]);
  const { status, placed, bound } = document.placement;
  expect([status, placed, bound]).toEqual(["within", 5, 6]);
  expect(verifyPlan(document).findings).toEqual([]);
  expect(plan(inTurn.fleet, afterPlan(inTurn.observed, document)).changes).toEqual([]);
});
