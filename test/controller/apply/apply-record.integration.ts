import { describe, expect, test } from "vitest";
import { applyRecord } from "../../../src/controller/apply/apply-record.ts";
import { applyRecordSchema } from "../../../src/protocol/refs/apply-record.ts";
import { bench, model } from "./apply-bench.ts";

const moment = { epoch: 3, startedAtMs: 1000, endedAtMs: 2000 };

describe("the record of an apply", () => {
  test("has every change with what was predicted beside what was measured", async () => {
    await using bed = await bench(
      model("m") + model("n", 'pinned_on = ["b"]') + model("o", 'pinned_on = ["b"]'),
      {
        a: { devices: [8000] },
        b: { devices: [16_000] },
      },
    );
    bed.neuron("b").script("n", {
      jobError: { code: "disk_full", message: "needs 4 GB, and 1 GB is free", next: "free space" },
    });
    bed.neuron("b").script("o", {
      held: true,
      reports: [
        { state: "downloading", progress: 0.5, download: { bytes_done: 5, bytes_total: 10, eta_secs: 1 } },
      ],
    });
    const result = await bed.apply({
      // The neurons share the test's clock: side by side each would count the waits of the other too.
      parallelism: 1,
      onEvent: (event) => {
        if (event.type === "step-progress" && event.state === "downloading") bed.neuron("b").release();
      },
    });
    const record = applyRecordSchema.parse(applyRecord(bed.plan, result, moment));
    expect(record).toMatchObject({
      epoch: 3,
      fleet: "home",
      plan_digest: bed.plan.digest,
      as_declared: false,
    });
    expect(record.steps.map(({ step, outcome, code, actual }) => [step, outcome, code, actual])).toEqual([
      ["load m@a", "applied", null, { secs: 0.25, download_bytes: 0, vram_mb: 4000 }],
      ["load n@b", "failed", "disk_full", null],
      ["load o@b", "applied", null, { secs: 0.5, download_bytes: 10, vram_mb: 4000 }],
    ]);
    expect(record.steps[0]?.predicted).toEqual({
      secs: 11,
      source: "default_rate",
      download_bytes: 0,
      vram_mb: 4000,
    });
    expect(record.steps[1]?.reason).toBe("needs 4 GB, and 1 GB is free");
  });

  test("what an earlier run had done is applied, and measures nothing", async () => {
    await using bed = await bench(model("m"), { a: { devices: [8000] } });
    await bed.apply();
    const record = applyRecord(bed.plan, await bed.apply(), moment);
    expect(record.as_declared).toBe(true);
    expect(record.steps).toMatchObject([{ step: "load m@a", outcome: "applied", actual: null }]);
  });
});
