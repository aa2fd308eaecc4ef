import { applyPlan } from "../../../src/controller/apply/io/apply-plan.ts";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import { describe, expect, test } from "vitest";
import { bench, model, stepsOf } from "./apply-bench.ts";
import { plan, residentModel, rowsOf } from "../observed-fleet-builders.ts";

const apart =
  model("m", 'pinned_on = ["a"]') + model("n", 'pinned_on = ["a"]') + model("o", 'pinned_on = ["b"]');
const machines = { a: { devices: [16_000] }, b: { devices: [16_000] } };

describe("what breaks while a plan is carried out", () => {
  test("a neuron that cannot be reached any more: its changes are not made, said by name, and the others go on", async () => {
    await using bed = await bench(apart, machines);
    await bed.neuron("a")[Symbol.asyncDispose]();
    const result = await bed.apply();
    expect(stepsOf(result.applied)).toEqual(["load o@b"]);
    expect(result.failed.map(({ step, error }) => [step, error.code])).toEqual([
      ["load m@a", "upstream_connection_error"],
    ]);
    expect(result.failed[0]?.error.message).toMatch(/^a \(http.*\): connection refused$/);
    expect(result.not_started).toEqual([
      { step: "load n@a", reason: 'nothing more is done on a since "load m@a" failed there' },
    ]);
    const next = await bed.replan();
    expect([rowsOf(next), next.unknown.map(({ model_id }) => model_id)]).toEqual([[], ["m", "n"]]);
  });

  test("a neuron that dies in the middle of a step is given time to come back, and then given up", async () => {
    await using bed = await bench(apart, machines);
    bed.neuron("a").script("m", { held: true });
    const applying = bed.apply();
    await bed.neuron("a").called("/jobs/job-1");
    await bed.neuron("a")[Symbol.asyncDispose]();
    const result = await applying;
    expect(stepsOf(result.applied)).toEqual(["load o@b"]);
    expect(result.failed.map(({ step, error }) => [step, error.code])).toEqual([
      ["load m@a", "upstream_connection_error"],
    ]);
    expect(result.not_started.map(({ step }) => step)).toEqual(["load n@a"]);
    expect(bed.clock.monotonicMs()).toBeGreaterThanOrEqual(30_000);
  });

  test("a disk that is full in the middle of a download fails that step, says what to do, and leaves what serves", async () => {
    await using bed = await bench(model("m"), {
      a: { devices: [8000], residents: [residentModel({ id: "m", vramMb: 4000 })], extra: "drain = true" },
      b: { devices: [8000] },
    });
    const download = { bytes_done: 5, bytes_total: 10, eta_secs: 1 };
    bed.neuron("b").script("m", {
      held: true,
      reports: [{ state: "downloading", progress: 0.5, download }],
      jobError: { code: "disk_full", message: "m takes 10 B, and 5 B are free", next: "free space" },
    });
    const result = await bed.apply({
      onEvent: (event) => {
        if (event.type === "step-progress" && event.state === "downloading") bed.neuron("b").release();
      },
    });
    expect(result.failed).toEqual([
      {
        step: "load m@b",
        error: { code: "disk_full", message: "m takes 10 B, and 5 B are free", next: "free space" },
      },
    ]);
    expect(result.not_started.map(({ step }) => step)).toEqual(["unload m@a"]);
    expect(bed.neuron("a").changes()).toEqual([]);
  });

  test("a plan that unloads 60 % is carried out only with the number of copies that it takes away", async () => {
    const residents = ["m", "n", "x", "y", "z"].map((id) => residentModel({ id, vramMb: 10 }));
    await using bed = await bench(model("m") + model("n"), { a: { devices: [16_000], residents } });
    const refusal = {
      code: "mass_unload",
      message: "the plan takes away 3 of 5 loaded copies (60 %), and 50 % is the limit",
      next: "if that is meant: --allow-mass-unload 3",
    };
    await expect(bed.apply()).rejects.toMatchObject(refusal);
    await expect(bed.apply({ allowMassUnload: 2 })).rejects.toMatchObject({
      ...refusal,
      message: `${refusal.message}; --allow-mass-unload says 2`,
    });
    await expect(bed.apply({ allowMassUnload: 4 })).rejects.toMatchObject({ code: "mass_unload" });
    expect(bed.neuron("a").changes()).toEqual([]);
    const result = await bed.apply({ allowMassUnload: 3 });
    expect([result.applied.length, result.failed]).toEqual([5, []]);
  });

  test("files that declare no model take nothing away, not even one copy under a limit of 100 %", async () => {
    const residents = [residentModel({ id: "m", vramMb: 10 })];
    await using bed = await bench(model("m"), { a: { devices: [16_000], residents } });
    const { clock, fleet } = bed;
    const empty = plan({ ...fleet, models: [] }, await observeFleet(fleet, { clock }));
    expect(rowsOf(empty)).toEqual(["unload m@a [loaded_not_declared]"]);
    const deps = { clock, onEvent: () => undefined };
    await expect(applyPlan(empty, { ...deps, maxUnloadPercent: 100 })).rejects.toMatchObject({
      code: "mass_unload",
      message: "the plan takes away 1 of 1 loaded copies (100 %), and the files declare no model at all",
    });
    expect(bed.neuron("a").changes()).toEqual([]);
    expect(stepsOf((await applyPlan(empty, { ...deps, allowMassUnload: 1 })).applied)).toEqual([
      "unload m@a",
    ]);
  });
});
