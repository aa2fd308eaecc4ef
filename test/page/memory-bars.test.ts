import { expect, test } from "vitest";
import { memoryBars } from "../../src/page/memory-bars.ts";
import { declaring, deviceState, fleetStateOf, modelState, neuronState } from "./fleet-state.ts";

const state = fleetStateOf({ declared: declaring({ "org/stays": 1, "org/asked": 0 }) });

const partsOf = (neuron: ReturnType<typeof neuronState>) =>
  memoryBars(neuron, state).map(({ parts }) => parts.map(({ holder, model, mib }) => [holder, model, mib]));

test("a device is filled from left to right: resident, on demand, on the move, foreign, free", () => {
  const neuron = neuronState("n", {
    devices: [deviceState(0, 10_000, 7500)],
    models: [
      modelState("org/asked", { vram_used_mb: 2000 }),
      modelState("org/coming", { vram_used_mb: 1000, status: "loading" }),
      modelState("org/stays", { vram_used_mb: 3000 }),
    ],
  });
  expect(partsOf(neuron)).toEqual([
    [
      ["resident", "org/stays", 3000],
      ["on-demand", "org/asked", 2000],
      ["moving", "org/coming", 1000],
      ["foreign", "", 1500],
      ["free", "", 2500],
    ],
  ]);
});

test("a model over two devices is split as its neuron says, and evenly where it does not say", () => {
  const devices = [deviceState(0, 10_000, 4000), deviceState(1, 10_000, 4000)];
  const spread = { devices: [0, 1], vram_used_mb: 8000 };
  const told = neuronState("n", {
    devices,
    models: [modelState("org/stays", { ...spread, device_vram_mb: [3000, 5000] })],
  });
  expect(partsOf(told).map(([first]) => first?.[2])).toEqual([3000, 5000]);
  const untold = neuronState("n", { devices, models: [modelState("org/stays", spread)] });
  expect(partsOf(untold).map(([first]) => first?.[2])).toEqual([4000, 4000]);
});

test("a reservation above what the driver shows is nobody else's memory, and the shares are of the whole bar", () => {
  const neuron = neuronState("n", {
    devices: [deviceState(0, 1000, 100)],
    models: [modelState("org/coming", { vram_used_mb: 1200, status: "loading" })],
  });
  const [bar] = memoryBars(neuron, state);
  expect(bar?.parts).toEqual([{ holder: "moving", model: "org/coming", mib: 1200, share: 1 }]);
});

test("a device that says nothing yet is shown with what its models take", () => {
  const neuron = neuronState("n", {
    devices: [deviceState(0, 4000, null)],
    models: [modelState("org/stays")],
  });
  expect(partsOf(neuron)).toEqual([
    [
      ["resident", "org/stays", 1000],
      ["free", "", 3000],
    ],
  ]);
});
