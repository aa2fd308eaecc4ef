import { describe, expect, test } from "vitest";
import { neuronRows } from "../../../src/cli/overview/neuron-rows.ts";
import { copy, fleetState, type StatedNeuron } from "./fleet-states.ts";

const rowOf = (neuron: StatedNeuron, declared: Readonly<Record<string, number>> = { m: 1 }) => {
  const [row] = neuronRows(fleetState({ neurons: [neuron], declared }));
  if (row === undefined) throw new Error("no row");
  return row;
};

describe("whose the memory of a device is", () => {
  test("resident, on demand, foreign and free add up to all of it", () => {
    const models = [
      copy({ id: "m", devices: [0, 1], vram_used_mb: 12_000, device_vram_mb: [8000, 4000] }),
      copy({ id: "d", devices: [1], vram_used_mb: 2000, origin: { kind: "request", fleet: "home" } }),
      copy({ id: "x", devices: [1], vram_used_mb: 1000, foreign: true }),
    ];
    const devices = [
      { totalMb: 16_000, usedMb: 8500 },
      { totalMb: 16_000, usedMb: 7600 },
    ];
    const uses = rowOf({ name: "beast", devices, models }).devices;
    expect(uses.map((share) => [share.residentMb, share.onDemandMb, share.foreignMb, share.freeMb])).toEqual([
      [8000, 0, 500, 7500],
      [4000, 2000, 1600, 8400],
    ]);
  });

  test("a copy that does not say how it is split is split evenly", () => {
    const model = copy({ id: "m", devices: [0, 1], vram_used_mb: 6000, device_vram_mb: undefined });
    const devices = [
      { totalMb: 8000, usedMb: null },
      { totalMb: 8000, usedMb: null },
    ];
    const uses = rowOf({ name: "beast", devices, models: [model] }).devices;
    expect(uses.map(({ residentMb, freeMb }) => [residentMb, freeMb])).toEqual([
      [3000, 5000],
      [3000, 5000],
    ]);
  });

  test("a load that has begun holds its memory before the driver counts it", () => {
    const model = copy({ id: "m", status: "loading", vram_used_mb: 6000 });
    const [share] = rowOf({ name: "b", devices: [{ totalMb: 8000, usedMb: 100 }], models: [model] }).devices;
    expect(share).toMatchObject({ residentMb: 6000, foreignMb: 0, freeMb: 2000 });
  });
});

test.each<[StatedNeuron, string]>([
  [{ name: "n" }, "ready"],
  [{ name: "n", draining: true }, "draining"],
  [{ name: "n", health: "unhealthy" }, "down"],
  [{ name: "n", health: "unknown" }, "unknown"],
])("the state of %j", (neuron, state) => {
  expect(rowOf(neuron).state).toBe(state);
});
