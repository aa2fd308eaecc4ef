import { expect, test } from "vitest";
import { placeModels } from "../../../../src/controller/place/place-models.ts";
import { afterPlacement, placementWorld, type FleetSketch } from "../../../support/fleet/fleet-generator.ts";

const wide = { replicas: 1, width: 2 } as const;

/*
 * 2 x 24 GiB, five models that take 48,095 of 49,152 MiB. Two spread ones run with old settings; renewed where they
 * stand they would split evenly and leave no device with room for the large one, which fits only if it is there first.
 */
const sketch: FleetSketch = {
  neurons: [
    {
      name: "a",
      devices: [24_576, 24_576],
      loaded: [
        { id: "renewed-1", devices: [0, 1], mib: [5549, 5550], current: false },
        { id: "renewed-2", devices: [0, 1], mib: [5782, 5783], current: false },
        { id: "stays", devices: [0, 1], mib: [2927, 2927] },
      ],
    },
  ],
  models: [
    { id: "large", mib: 14_496, replicas: 1 },
    { id: "new", mib: 5081, ...wide },
    { id: "renewed-1", mib: 11_099, ...wide },
    { id: "renewed-2", mib: 11_565, ...wide },
    { id: "stays", mib: 5854, ...wide },
  ],
};

test("a spread copy with new settings lets another in first where that gives it a place", () => {
  const placement = placeModels(placementWorld(sketch));
  expect(placement.explanations).toEqual([]);
  expect(placement.assignments.map(({ modelId, status }) => `${modelId} ${status}`)).toEqual([
    "large new",
    "new new",
    "renewed-1 renewed",
    "renewed-2 renewed",
    "stays kept",
  ]);
  // The other one gives its memory back when it is renewed: one is enough.
  expect(placement.displaced).toEqual([{ modelId: "renewed-2", neuron: "a", inFavourOf: "large" }]);
  expect(placement.gap.kind).toBe("optimal");
  const again = placeModels(placementWorld(afterPlacement(sketch, placement)));
  expect(again.arrivals).toEqual([]);
});

test("nobody leaves early while there is room for all", () => {
  const roomy = { ...sketch, neurons: sketch.neurons.map((one) => ({ ...one, devices: [32_768, 32_768] })) };
  const placement = placeModels(placementWorld(roomy));
  expect([placement.explanations, placement.displaced]).toEqual([[], []]);
});
