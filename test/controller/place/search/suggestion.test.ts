import { expect, test } from "vitest";
import { placeModels } from "../../../../src/controller/place/place-models.ts";
import { placementWorld } from "../../../support/fleet/fleet-generator.ts";

test("a guest that a suggested placement displaces leaves for the copy that comes there", () => {
  const suggestion = [
    { modelId: "small", neuron: "b", devices: [0] },
    { modelId: "large", neuron: "a", devices: [0] },
  ];
  const world = placementWorld(
    {
      neurons: [
        { name: "a", devices: [24_000], loaded: [{ id: "guest", devices: [0], mib: [9000] }] },
        { name: "b", devices: [24_000], loaded: [{ id: "small", devices: [0], mib: [9000] }] },
      ],
      models: [
        { id: "guest", mib: 9000, replicas: 0 },
        { id: "small", mib: 9000, replicas: 1 },
        { id: "large", mib: 20_000, replicas: 1 },
      ],
    },
    { suggestion },
  );
  expect(placeModels(world).displaced).toEqual([{ modelId: "guest", neuron: "a", inFavourOf: "large" }]);
});
