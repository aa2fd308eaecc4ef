import { expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { placementWorld, type LoadedSketch } from "../../support/fleet/fleet-generator.ts";
import { quickPlan as plan } from "../observed-fleet-builders.ts";

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
