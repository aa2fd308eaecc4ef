import { describe, expect, test } from "vitest";
import { bench, model, stepsOf } from "./apply-bench.ts";

const MINUTE_MS = 60_000;
const GIB_BYTES = 1024 ** 3;

describe("how long an apply takes", () => {
  test("a job without a sign of life fails its step, and says where to look; the rest goes on", async () => {
    await using bed = await bench(model("m") + model("n"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { held: true });
    const result = await bed.apply();
    const [failure] = result.failed;
    expect(failure?.error.code).toBe("step_timeout");
    expect(failure?.error.message).toBe(
      "a has said nothing new of loading m for 10 m 0 s (loading at 50 %; --step-timeout)",
    );
    expect(failure?.error.next).toContain(`${bed.neuron("a").endpoint}/jobs/job-1 tell what it waits for`);
    expect(stepsOf(result.applied)).toEqual(["load n@a"]);
    expect([result.timed_out, result.interrupted]).toEqual([false, false]);
  });

  test("progress is a sign of life, however slow the whole is", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const neuron = bed.neuron("a");
    const reports = Array.from({ length: 100 }, (_, at) => ({
      state: "downloading" as const,
      progress: null,
      download: { bytes_done: Math.floor(at / 10) * GIB_BYTES, bytes_total: null, eta_secs: null },
    }));
    neuron.script("m", { held: true, reports });
    const result = await bed.apply({ stepTimeoutMs: 3000 });
    // Ten polls of a quarter of a second for each gibibyte, and then nothing more.
    expect(bed.clock.monotonicMs()).toBeGreaterThanOrEqual(25_000);
    expect(bed.clock.monotonicMs()).toBeLessThan(30_000);
    expect(result.failed[0]?.error.message).toContain("downloading; --step-timeout");
  });

  test("bytes and time left of a download are told, at most once a second", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const reports = Array.from({ length: 9 }, (_, at) => ({
      state: "downloading" as const,
      progress: at / 10,
      download: { bytes_done: at * GIB_BYTES, bytes_total: 10 * GIB_BYTES, eta_secs: 10 - at },
    }));
    bed.neuron("a").script("m", { held: true, reports });
    await bed.apply({ stepTimeoutMs: 3000 });
    const told = bed.events.flatMap((event) =>
      event.type === "step-progress" && event.download !== undefined ? [event] : [],
    );
    expect(told.map(({ fraction, download }) => [fraction, download?.eta_secs])).toEqual([
      [0, 10],
      [0.4, 6],
      [0.8, 2],
    ]);
  });

  test("with the time for all of it over, what runs is given up and nothing more is started", async () => {
    await using bed = await bench(model("m") + model("n") + model("o", 'pinned_on = ["b"]'), {
      a: { devices: [16_000] },
      b: { devices: [8000] },
    });
    bed.neuron("a").script("m", { held: true });
    const result = await bed.apply({ timeoutMs: 5 * MINUTE_MS });
    expect(stepsOf(result.applied)).toEqual(["load o@b"]);
    expect(result.failed.map(({ step, error }) => [step, error.code, error.message])).toEqual([
      [
        "load m@a",
        "step_timeout",
        "the time for the apply was over (--timeout) while a was loading m (loading at 50 %)",
      ],
    ]);
    expect(result.not_started).toEqual([
      { step: "load n@a", reason: "the time for the apply was over (--timeout)" },
    ]);
    expect([result.timed_out, result.interrupted]).toEqual([true, false]);
    expect(bed.clock.monotonicMs()).toBeLessThan(6 * MINUTE_MS);
  });

  test("it is over for a neuron that is busy as well; the step was never begun", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    bed.neuron("a").script("m", { busyTimes: 1_000 });
    const result = await bed.apply({ timeoutMs: 40_000 });
    expect(result.failed).toEqual([]);
    expect(result.not_started).toEqual([
      {
        step: "load m@a",
        reason: "the time for the apply was over (--timeout) while the neuron was busy",
      },
    ]);
  });

  test("what was done in time is done", async () => {
    await using bed = await bench(model("m"), { a: { devices: [16_000] } });
    const result = await bed.apply({ timeoutMs: 250 });
    expect([stepsOf(result.applied), result.timed_out]).toEqual([["load m@a"], false]);
  });
});
