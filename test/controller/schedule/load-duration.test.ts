import { describe, expect, test } from "vitest";
import { loadHistory, predictLoad, predictUnload } from "../../../src/controller/schedule/load-duration.ts";
import type { ModelFact } from "../../../src/protocol/neuron-api.ts";
import type { StepRecord } from "../../../src/protocol/refs/apply-record.ts";
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

const step = (
  given: Partial<StepRecord> & { readonly secs: number; readonly bytes?: number },
): StepRecord => {
  const { secs, bytes = 0, ...rest } = given;
  return {
    step: "load x@a",
    model_id: "x",
    neuron: "a",
    kind: "load",
    actions: ["load"],
    devices: [0],
    spec_hash: "now",
    outcome: "applied",
    reason: null,
    code: null,
    predicted: { secs: null, source: "unknown", download_bytes: null, vram_mb: 1000 },
    actual: { secs, download_bytes: bytes, vram_mb: 1000 },
    ...rest,
  };
};

const learned = (recorded: readonly StepRecord[], facts: readonly ModelFact[] = []) => {
  const neuron = observedNeuron("a", { devices: [8000] });
  const seen = { ...neuron, discovery: { ...neuron.discovery, facts: [...facts] } };
  const history = loadHistory({ observedAtMs: 0, neurons: [seen], recorded });
  return {
    load: predictLoad({ modelId: "x", specHash: "now", neuron: "a", mib: 2000 }, history),
    unload: (busy: number) => predictUnload({ modelId: "x", neuron: "a" }, busy, history),
  };
};

const measured = (secs: number, confidence = "high") => ({ secs, source: "measured", confidence });

describe("what earlier applies took", () => {
  const usual = { secs: 7, source: "default_rate", confidence: "low" };

  test.each([
    ["is believed of the same step", [step({ secs: 21.4 })], measured(21.4)],
    ["is the slowest of the last three", [5, 9, 6, 40].map((secs) => step({ secs })), measured(9)],
    ["of another neuron says less", [step({ secs: 9, neuron: "b" })], measured(9, "medium")],
    [
      "with other settings goes by size",
      [step({ secs: 9, spec_hash: "old" })],
      { secs: 18, source: "scaled", confidence: "low" },
    ],
    [
      "of other models tells the speed of the machine",
      [step({ secs: 10, model_id: "y" })],
      { secs: 20, source: "neuron_rate", confidence: "low" },
    ],
    ["says nothing where a file had to come first", [step({ secs: 900, bytes: 1 })], usual],
    ["says nothing where it was a replace", [step({ secs: 9, kind: "replace" })], usual],
    ["says nothing where it failed", [step({ secs: 9, actual: null, outcome: "failed" })], usual],
  ] as const)("%s", (_what, recorded, expected) => {
    expect(learned(recorded).load).toEqual(expected);
  });

  test("gives way to what the neuron measured itself", () => {
    expect(learned([step({ secs: 30 })], [fact("measured", 7)]).load).toEqual(measured(7));
  });

  test("is believed of unloads too; one that is busy takes no less than busy ones do", () => {
    const { unload } = learned([step({ secs: 4.2, kind: "unload", spec_hash: null })]);
    expect(unload(0)).toEqual(measured(4.2, "medium"));
    expect(unload(3)).toEqual(measured(10, "medium"));
    expect(learned([]).unload(0)).toEqual({ secs: 1, source: "default_rate", confidence: "low" });
  });
});
