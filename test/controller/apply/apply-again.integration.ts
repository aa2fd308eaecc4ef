import { describe, expect, test } from "vitest";
import type { ApplyEvent } from "../../../src/protocol/apply-events.ts";
import { bench, model, stepsOf } from "./apply-bench.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
} from "../observed-fleet-builders.ts";

describe("applying a plan on a fleet that moved on", () => {
  test("what an earlier run replaced is not taken down again", async () => {
    await using bed = await bench(model("m", 'pinned_on = ["a"]') + model("n", 'pinned_on = ["b"]'), {
      a: { devices: [16_000], residents: [residentModel({ id: "m", vramMb: 4000, specHash: "old" })] },
      b: { devices: [8000] },
    });
    bed.neuron("b").script("n", { busyTimes: 1, busyCode: "source_not_found" });
    const first = await bed.apply();
    expect([stepsOf(first.applied), first.failed.map(({ step }) => step)]).toEqual([
      ["replace m@a"],
      ["load n@b"],
    ]);
    bed.neuron("a").calls.length = 0;
    const second = await bed.apply();
    expect(stepsOf(second.applied).toSorted()).toEqual(["load n@b", "replace m@a"]);
    expect(bed.neuron("a").changes()).toEqual([]);
    expect(rowsOf(await bed.replan())).toEqual([]);
  });

  test.each([
    [
      "stray",
      "manual",
      ["load m@a", "load n@a"],
      "a changed while it was being changed: stray was loaded anew (manual)",
    ],
    ["another", "request", ["load m@a", "load n@a", "unload stray@a"], undefined],
  ] as const)("while it works, %s is loaded by a %s: what a person did is not undone", async (...row) => {
    const [id, origin, applied, failure] = row;
    await using bed = await bench(model("m") + model("n"), {
      a: { devices: [16_000], residents: [residentModel({ id: "stray", vramMb: 100 })] },
    });
    const neuron = bed.neuron("a");
    neuron.script("n", { held: true });
    const onEvent = (event: ApplyEvent) => {
      if (event.type !== "step-progress" || event.step !== "load n@a") return;
      const others = neuron.models.filter((resident) => resident.id !== id);
      neuron.meddle([...others, residentModel({ id, vramMb: 100, origin })]);
      neuron.release();
    };
    const result = await bed.apply({ onEvent });
    expect(stepsOf(result.applied)).toEqual(applied);
    expect(result.failed[0]?.error.message).toBe(failure);
    expect(neuron.models.map((resident) => resident.id).includes(id)).toBe(true);
  });

  test("a load that was under way when the plan was made may end meanwhile", async () => {
    const loading = residentModel({ id: "stray", vramMb: 100, status: "loading" });
    await using bed = await bench(model("m") + model("n"), {
      a: { devices: [16_000], residents: [loading] },
    });
    const neuron = bed.neuron("a");
    neuron.script("n", { held: true });
    const onEvent = (event: ApplyEvent) => {
      if (event.type !== "step-progress" || event.step !== "load n@a") return;
      neuron.meddle(neuron.models.map((resident) => ({ ...resident, status: "loaded" as const })));
      neuron.release();
    };
    const result = await bed.apply({ onEvent });
    expect([stepsOf(result.applied), result.failed]).toEqual([
      ["load m@a", "load n@a", "unload stray@a"],
      [],
    ]);
  });

  test("the second half of a replace is sent again when somebody else was faster", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [16_000], residents: [residentModel({ id: "m", vramMb: 4000, specHash: "old" })] },
    });
    const neuron = bed.neuron("a");
    const onEvent = (event: ApplyEvent) => {
      if (event.type !== "step-progress") return;
      // The unload was taken; the load is next.
      if (neuron.generation === 1) neuron.script("m", { busyTimes: 1, busyCode: "model_busy" });
      if (event.state !== "busy" || neuron.models.length > 0) return;
      neuron.meddle([...neuron.models, residentModel({ id: "asked/for", vramMb: 100, origin: "request" })]);
    };
    const result = await bed.apply({ onEvent });
    expect(result.failed).toEqual([]);
    expect(neuron.models.map(({ id }) => id).toSorted()).toEqual(["asked/for", "m"]);
  });

  test("the neuron is told the size that the plan counts with", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 2\nvram_mb = 12_000\n', ["a", "b"]);
    const held = residentModel({ id: "m", vramMb: 5000, specHash: declaredHash(fleet, "m") });
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [24_000], residents: [held] }),
        observedNeuron("b", { devices: [8000] }),
      ),
    );
    expect(document.changes).toMatchObject([
      { id: "load m@b", vram_after_mb: 5000, vram_source: "measured", spec: { vram_mb: 5000 } },
    ]);
  });
});

test("a spread model waits for what leaves its devices already, since its split follows from what is free", async () => {
  const spread = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 8000\nmin_devices = 2\n';
  const leaving = residentModel({ id: "old", vramMb: 3000, status: "unloading" });
  await using bed = await bench(spread, { a: { devices: [8000, 8000], residents: [leaving] } });
  const reasons: unknown[] = [];
  const result = await bed.apply({
    onEvent: (event) => {
      if (event.type !== "step-progress" || event.state !== "busy") return;
      reasons.push(event.reason);
      if (reasons.length === 2) bed.neuron("a").models = [];
    },
  });
  expect(result.failed).toEqual([]);
  expect(reasons).toEqual(["old must be gone first", "old must be gone first"]);
  expect(bed.neuron("a").models.map(({ device_vram_mb: mb }) => mb)).toEqual([[4000, 4000]]);
});
