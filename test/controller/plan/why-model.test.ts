import { describe, expect, test } from "vitest";
import { printWhy } from "../../../src/cli/view/why-view.ts";
import { whyModel } from "../../../src/controller/plan/why-model.ts";
import type { WhyReport } from "../../../src/protocol/why-report.ts";
import { CANONICAL_CASES, canonicalFiles, canonicalFleet, canonicalObservation } from "../canonical-fleet.ts";

function why(situationName: string, modelId: string, neuron?: string): WhyReport {
  const situation = CANONICAL_CASES[situationName];
  if (situation === undefined) throw new Error(situationName);
  const fleet = canonicalFleet(canonicalFiles(situation));
  const revision = { commit: null, dirty: false, path: "." };
  const observed = canonicalObservation(fleet, situation);
  return whyModel({ fleet, fleetDigest: "d", revision, observed }, { modelId, neuron });
}

const verdicts = (report: WhyReport) =>
  report.neurons.map(({ neuron, verdict, detail }) => `${neuron} ${verdict}: ${detail}`);

describe("a model that has its place", () => {
  test("says by which rule, and what speaks against each other neuron", () => {
    const report = why("steady", "mistralai/Devstral-Small-2507");
    expect(report.summary).toBe("its copy has a place");
    expect(report.copies).toMatchObject([{ neuron: "benjy", status: "kept", rule: "stays" }]);
    expect(verdicts(report)).toEqual([
      expect.stringMatching(
        /^beast cannot: needs 14720 MB on one device, but no more than \d+ MB can be had/,
      ) as string,
      expect.stringMatching(/^benjy holds: /) as string,
      expect.stringMatching(
        /^quadbrat cannot: needs 14720 MB on one device, but the largest has 12288 MB when empty/,
      ) as string,
    ]);
  });

  test("where it could be as well, it says at whose cost", () => {
    const report = why("empty", "openai/gpt-oss-20b", "benjy");
    expect(report.summary).toContain("replicas = 0");
    expect(report.neurons).toMatchObject([{ neuron: "benjy", verdict: "could" }]);
  });

  test("a pin is named, and what would be without it", () => {
    const report = why("swap-cycle", "acme/writer", "quadbrat");
    expect(report.neurons[0]?.verdict).toBe("cannot");
    expect(report.neurons[0]?.detail).toMatch(/^not in pinned_on = \["beast"\]; needs 22000 MB/);
    expect(report.neurons[0]?.checks.map(({ check }) => check)).toContain("memory");
  });
});

describe("a model without a place", () => {
  test("has the layers, every neuron and remedies, cheapest first", () => {
    const report = why("unplaceable", "meta/Llama-3.3-70B");
    expect(report.summary).toMatch(
      /^its copy has no known place; 1 missing: does not fit together with others/,
    );
    expect(verdicts(report)).toContain("quadbrat cannot: min_devices = 2, but it has 1");
    expect(report.remedies.length).toBeGreaterThan(1);
    const text = printWhy(report, { colour: false });
    expect(text).toContain("What would help, cheapest first\n  1. ");
  });
});

test("a copy that may be on a neuron that does not answer is said to be there", () => {
  const report = why("lost-neuron", "mistralai/Devstral-Small-2507");
  expect(report.unknown_on).toEqual(["benjy"]);
  expect(verdicts(report)).toContain("benjy cannot: does not answer: no answer within 5 s");
});

test.each([
  ["Qwen/Qwen3-8", undefined, "model_not_found", "cortex why Qwen/Qwen3-8B"],
  ["Qwen/Qwen3-8B", "beats", "usage_error", "did you mean beast?"],
])("%s on %s is unknown", (...row) => {
  const [model, neuron, code, next] = row;
  expect(() => why("steady", model, neuron)).toThrow(expect.objectContaining({ code, next }));
});
