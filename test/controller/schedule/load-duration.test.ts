import { expect, test } from "vitest";
import { loadHistory, predictLoad } from "../../../src/controller/schedule/load-duration.ts";
import type { ModelFact } from "../../../src/protocol/neuron-api.ts";
import { observedNeuron } from "../observed-fleet-builders.ts";

const fact = (source: "measured" | "neuron_rate", secs: number, specHash = "now"): ModelFact => ({
  model_id: "x",
  spec_hash: specHash,
  source: source === "measured" ? "measured" : "metadata",
  vram_mb: 1000,
  load_secs: secs,
  load_secs_source: source,
});

const predicted = (facts: Readonly<Record<string, readonly ModelFact[]>>) => {
  const neurons = Object.entries(facts).map(([name, told]) => {
    const neuron = observedNeuron(name, { devices: [8000] });
    return { ...neuron, discovery: { ...neuron.discovery, facts: [...told] } };
  });
  const history = loadHistory({ observedAtMs: 0, neurons });
  return predictLoad({ modelId: "x", specHash: "now", neuron: "a", mib: 2000 }, history);
};

test.each([
  ["as it took here before", { a: [fact("measured", 7)], b: [fact("measured", 9)] }, 7, "measured", "high"],
  ["as it took elsewhere", { a: [], b: [fact("measured", 9)] }, 9, "measured", "medium"],
  ["as it took with other settings, by size", { a: [fact("measured", 4, "old")] }, 8, "scaled", "low"],
  ["as the neuron expects of its disk", { a: [fact("neuron_rate", 5.5)] }, 5.5, "neuron_rate", "low"],
  ["not as another neuron expects", { a: [], b: [fact("neuron_rate", 5.5)] }, 7, "default_rate", "low"],
] as const)("%s", (...[, facts, secs, source, confidence]) => {
  expect(predicted(facts)).toEqual({ secs, source, confidence });
});
