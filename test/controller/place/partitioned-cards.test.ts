import { expect, test } from "vitest";
import type { Placement, PlacementInput } from "../../../src/controller/place/board/placement.ts";
import { placeModels } from "../../../src/controller/place/place-models.ts";
import type { ObservedNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import { placementWorld, type ModelSketch } from "../../support/fleet/fleet-generator.ts";

const PART_MIB = 20_000;

/** Devices of this size are parts of cards. */
function withParts(neuron: ObservedNeuron): ObservedNeuron {
  if (!neuron.reachable) return neuron;
  const devices = neuron.discovery.devices.map((device) =>
    device.vram_total_mb === PART_MIB ? { ...device, part_of: "GPU-1" } : device,
  );
  return { ...neuron, discovery: { ...neuron.discovery, devices } };
}

function placedOn(devices: readonly number[], models: readonly ModelSketch[]): Placement {
  const world: PlacementInput = placementWorld({ neurons: [{ name: "n", devices }], models });
  const neurons = world.observed.neurons.map(withParts);
  return placeModels({ ...world, observed: { ...world.observed, neurons } });
}

const wide: ModelSketch = { id: "wide", mib: 30_000, replicas: 1, width: 2 };
const devicesOf = ({ assignments }: Placement) =>
  assignments.map(({ modelId, devices }) => [modelId, devices]);

test.each([
  ["before the cards", [PART_MIB, 16_000, 16_000], [1, 2]],
  ["behind them", [16_000, 16_000, PART_MIB, PART_MIB], [0, 1]],
])(
  "a model over two devices has its place where whole cards do, though there are parts %s",
  (_where, devices, expected) => {
    expect(devicesOf(placedOn(devices, [wide]))).toEqual([["wide", expected]]);
  },
);

test("a part as large and as free as a card is none, and what takes one device alone leaves the cards to who needs them", () => {
  const devices = [PART_MIB, 20_001, 20_001];
  const narrow: ModelSketch = { id: "narrow", mib: 19_000, replicas: 1 };
  expect(devicesOf(placedOn(devices, [narrow, { ...wide, mib: 40_000 }]))).toEqual([
    ["narrow", [0]],
    ["wide", [1, 2]],
  ]);
});

test.each([
  [
    [PART_MIB, PART_MIB, 16_000],
    "min_devices = 2, but it has 1 beside 2 parts of cards (MIG), which take a model alone",
  ],
  [
    [PART_MIB, PART_MIB],
    "min_devices = 2, but it has 0 beside 2 parts of cards (MIG), which take a model alone",
  ],
])("on %j it has none, and the reason tells the parts from the cards", (devices, reason) => {
  const [explanation] = placedOn(devices, [wide]).explanations;
  const checks = explanation?.verdicts.flatMap((verdict) => verdict.checks.filter(({ ok }) => !ok));
  expect(checks?.map(({ detail }) => detail)).toEqual([reason]);
});

test("a floor is asked of whole cards alone", () => {
  const floor: ModelSketch = { ...wide, floorMib: 18_000 };
  expect(placedOn([PART_MIB, 16_000, 19_000], [floor]).assignments).toEqual([]);
  expect(devicesOf(placedOn([PART_MIB, 19_000, 19_000], [floor]))).toEqual([["wide", [1, 2]]]);
});
