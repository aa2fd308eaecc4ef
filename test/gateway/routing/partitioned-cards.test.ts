import { expect, test } from "vitest";
import { modelBlockSchema, neuronBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { obtainableMib } from "../../../src/gateway/loading/place-memory.ts";
import { feasibilityOf } from "../../../src/gateway/routing/load-feasibility.ts";
import type { NeuronView } from "../../../src/gateway/view/fleet-view.ts";
import { present } from "../../../src/core/present.ts";
import { devicesOf, discoveryOf, viewOf } from "../view-builder.ts";

const neuron = neuronBlockSchema.parse({ name: "n", endpoint: "http://n:13131" });
const block = (width: number) => modelBlockSchema.parse({ id: "m", min_devices: width, vram_mb: 30_000 });

/** Two parts of a card, and so many whole cards of 16,000 MiB. */
function viewWith(cards: number): NeuronView {
  const sizes = [40_000, 40_000, ...Array.from({ length: cards }, () => 16_000)];
  const devices = devicesOf(sizes).map((device) =>
    device.index < 2 ? { ...device, part_of: "GPU-1" } : device,
  );
  const view = present(viewOf({ n: { deviceMb: sizes } }).neurons.get("n"), "the neuron");
  return { ...view, discovery: discoveryOf(devices) };
}

test("a model over two devices is loaded on whole cards, and one that takes one on a part as well", () => {
  expect(feasibilityOf(block(2), neuron, { view: viewWith(2) })).toEqual({ kind: "feasible" });
  expect(obtainableMib(block(2), viewWith(2), new Set())).toBe(32_000);
  expect(feasibilityOf(block(2), neuron, { view: viewWith(1) })).toMatchObject({ kind: "impossible" });
  expect(feasibilityOf(block(1), neuron, { view: viewWith(0) })).toEqual({ kind: "feasible" });
  expect(obtainableMib(block(1), viewWith(0), new Set())).toBe(40_000);
});
