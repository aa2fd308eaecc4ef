import { expect, test } from "vitest";
import { knownSizes, modelNeed, type KnownSizes } from "../../../src/controller/intent/model-needs.ts";
import { modelBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import type { ModelFact } from "../../../src/protocol/neuron-api.ts";
import { observedNeuron, residentModel } from "../observed-fleet-builders.ts";

const block = (vramMb?: number) =>
  modelBlockSchema.parse({ id: "x", ...(vramMb === undefined ? {} : { vram_mb: vramMb }) });

const fact = (source: ModelFact["source"], vramMb: number, hash = "now"): ModelFact => ({
  model_id: "x",
  spec_hash: hash,
  source,
  vram_mb: vramMb,
});

const sizes = (
  residents: KnownSizes["residents"] extends ReadonlyMap<string, infer List> ? List : never,
  facts: readonly ModelFact[],
): KnownSizes => ({
  residents: new Map([["x", residents]]),
  facts: new Map([["x", facts]]),
});

const loaded = (vramMb: number, specHash: string, measured = true) =>
  residentModel({ id: "x", vramMb, specHash, measured });

test.each([
  [
    "measured now, the largest of all neurons",
    5000,
    [loaded(6000, "now"), loaded(6100, "now")],
    [fact("metadata", 9)],
    6100,
    "measured",
    "high",
  ],
  [
    "measured once, by a neuron that kept the fact",
    5000,
    [],
    [fact("measured", 6200)],
    6200,
    "measured",
    "high",
  ],
  [
    "the file's header before the declaration",
    5000,
    [loaded(6000, "now", false)],
    [fact("metadata", 7000)],
    7000,
    "metadata",
    "medium",
  ],
  [
    "facts of other settings do not count",
    5000,
    [],
    [fact("measured", 6200, "other")],
    5000,
    "declared",
    "medium",
  ],
  [
    "a copy with other settings is better than nothing",
    undefined,
    [loaded(4000, "other")],
    [],
    4000,
    "similar",
    "low",
  ],
  ["nothing tells", undefined, [], [], undefined, "unknown", "none"],
] as const)("%s", (...row) => {
  const [, declared, residents, facts, mib, source, confidence] = row;
  expect(modelNeed(block(declared), "now", sizes(residents, facts))).toMatchObject({
    mib,
    source,
    confidence,
  });
});

const neuron = (name: string, kind: "cpu" | "cuda", facts: ModelFact[]) => {
  const observed = observedNeuron(name, { devices: [8000] });
  const devices = observed.discovery.devices.map((device) => ({ ...device, kind }));
  return { ...observed, discovery: { ...observed.discovery, devices, facts } };
};

test("what a machine without a GPU tells counts only where no machine with one tells", () => {
  const known = knownSizes([
    neuron("cpu", "cpu", [fact("metadata", 2000), { ...fact("metadata", 3000), model_id: "y" }]),
    neuron("gpu", "cuda", [fact("metadata", 1100)]),
  ]);
  expect(modelNeed(block(), "now", known).mib).toBe(1100);
  expect(known.facts.get("y")?.map(({ vram_mb }) => vram_mb)).toEqual([3000]);
});
