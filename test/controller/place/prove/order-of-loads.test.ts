import { expect, test } from "vitest";
import { placementProblem } from "../../../../src/controller/place/board/build-problem.ts";
import { placeModels } from "../../../../src/controller/place/place-models.ts";
import { orderMatters } from "../../../../src/controller/place/prove/order-of-loads.ts";
import { afterPlacement, placementWorld, type FleetSketch } from "../../../support/fleet/fleet-generator.ts";

/** All five copies fit: the first placement leaves one out, and once it is carried out a move makes room for that one. */
const found: FleetSketch = {
  neurons: [
    { name: "a", devices: [24_000, 23_700, 23_700, 24_000] },
    { name: "b", devices: [24_000, 24_000, 24_000] },
  ],
  models: [
    { id: "m1", mib: 17_000, replicas: 2, width: 2 },
    { id: "m4", mib: 42_500, replicas: 1, width: 3, pins: ["a"] },
    { id: "m5", mib: 35_500, replicas: 2, width: 2 },
  ],
};

test("a placement that another order of loads would beat is not called optimal", () => {
  const first = placeModels(placementWorld(found));
  const second = placeModels(placementWorld(afterPlacement(found, first)));
  expect(second.explanations).toEqual([]);
  expect({ open: first.explanations.length, kind: first.gap.kind }).toEqual({ open: 1, kind: "within" });
});

const sketch = (devices: readonly number[], widths: readonly number[]): FleetSketch => ({
  neurons: [{ name: "a", devices }],
  models: widths.map((width, number) => ({ id: `m${number}`, mib: 1000, replicas: 1, width })),
});

test.each([
  ["spread copies on overlapping sets of devices", sketch([9000, 9000, 9000], [2, 2]), true],
  ["one on all of the devices and one on some of them", sketch([9000, 9000, 9000], [2, 3]), true],
  ["all of them on all of the devices", sketch([9000, 9000, 9000], [3, 3, 1]), false],
  ["one spread copy beside others on one device", sketch([9000, 9000, 9000], [2, 1, 1]), false],
  ["two devices", sketch([9000, 9000], [2, 2, 1]), false],
])("the order of loads: %s", (_what, world, matters) => {
  expect(orderMatters(placementProblem(placementWorld(world)))).toBe(matters);
});

test("the order of loads does not matter to spread copies that must stay as they are", () => {
  const { neurons, models } = sketch([9000, 9000, 9000], [2, 2]);
  const loaded = models.map(({ id }) => ({ id, devices: [0, 1], mib: [500, 500] }));
  const protectedModels = models.map((model) => ({ ...model, protect: true }));
  const stays = { neurons: neurons.map((neuron) => ({ ...neuron, loaded })), models: protectedModels };
  expect(orderMatters(placementProblem(placementWorld(stays)))).toBe(false);
});
