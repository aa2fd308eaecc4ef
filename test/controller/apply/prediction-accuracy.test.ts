import { expect, test } from "vitest";
import { predictionAccuracy } from "../../../src/controller/apply/prediction-accuracy.ts";
import type { ApplyRecord, StepRecord } from "../../../src/protocol/refs/apply-record.ts";

interface Told {
  readonly secs: number | null;
  readonly source?: string;
  readonly vramMb?: number;
  readonly bytes?: number | null;
}

interface Measured {
  readonly secs: number;
  readonly vramMb?: number | null;
  readonly bytes?: number;
}

const step = (told: Told, measured: Measured | null): StepRecord => ({
  step: "load m@a",
  model_id: "m",
  neuron: "a",
  kind: "load",
  actions: ["load"],
  devices: [0],
  spec_hash: null,
  outcome: measured === null ? "failed" : "applied",
  reason: null,
  code: null,
  predicted: {
    secs: told.secs,
    source: told.source ?? "default_rate",
    download_bytes: told.bytes ?? null,
    vram_mb: told.vramMb ?? 0,
  },
  actual:
    measured === null
      ? null
      : { secs: measured.secs, download_bytes: measured.bytes ?? 0, vram_mb: measured.vramMb ?? null },
});

const record = (
  steps: readonly StepRecord[],
  predictedSecs: number | null,
  actualSecs: number,
): ApplyRecord => ({
  format_version: 1,
  cortex_version: "0",
  fleet: "home",
  revision: { path: ".", commit: null, dirty: false },
  fleet_digest: "",
  plan_digest: "",
  epoch: null,
  started_at_ms: 0,
  ended_at_ms: 0,
  predicted_secs: predictedSecs,
  actual_secs: actualSecs,
  interrupted: false,
  timed_out: false,
  superseded: false,
  as_declared: true,
  steps: [...steps],
});

test("seconds are judged for all and by what the prediction came from, the most frequent first", () => {
  const { seconds, steps, applies } = predictionAccuracy([
    record([step({ secs: 10, source: "measured" }, { secs: 11 }), step({ secs: 10 }, { secs: 20 })], null, 1),
    record([step({ secs: 10 }, { secs: 5 })], null, 1),
  ]);
  expect([applies, steps]).toEqual([2, 3]);
  expect(seconds).toEqual([
    { source: "all", count: 3, median_ratio: 1.1, median_error: 0.5, p90_error: 1 },
    { source: "default_rate", count: 2, median_ratio: 0.5, median_error: 0.5, p90_error: 1 },
    { source: "measured", count: 1, median_ratio: 1.1, median_error: 0.1, p90_error: 0.1 },
  ]);
});

test("memory and bytes are judged where both are known", () => {
  const { memory, download } = predictionAccuracy([
    record(
      [
        step({ secs: 1, vramMb: 1000, bytes: 100 }, { secs: 1, vramMb: 1250, bytes: 100 }),
        step({ secs: 1, vramMb: 1000, bytes: 100 }, { secs: 1, vramMb: null, bytes: 0 }),
        step({ secs: 1, vramMb: 0 }, { secs: 1, vramMb: 0 }),
      ],
      null,
      1,
    ),
  ]);
  expect(memory).toEqual({ count: 1, median_ratio: 1.25, median_error: 0.25, p90_error: 0.25 });
  expect(download).toEqual({ count: 1, median_ratio: 1, median_error: 0, p90_error: 0 });
});

test("what failed says nothing, and an apply counts as a whole only where all of it was done", () => {
  const { seconds, whole } = predictionAccuracy([
    record([step({ secs: 10 }, null)], 10, 1),
    record([step({ secs: 10 }, { secs: 12 })], 10, 12),
  ]);
  expect(seconds.map(({ count }) => count)).toEqual([1, 1]);
  expect(whole).toEqual({ count: 1, median_ratio: 1.2, median_error: 0.2, p90_error: 0.2 });
});

test("what a download took is not held against what was foretold of the load", () => {
  const fetched = step({ secs: 10, bytes: 100 }, { secs: 500, bytes: 100 });
  const plain = step({ secs: 10 }, { secs: 12 });
  const { seconds, whole } = predictionAccuracy([record([fetched, plain], 20, 512), record([plain], 10, 12)]);
  expect(seconds[0]).toMatchObject({ count: 2, median_ratio: 1.2 });
  expect(whole).toMatchObject({ count: 1, median_ratio: 1.2 });
});

test("half a second instead of a whole one is no error", () => {
  expect(predictionAccuracy([record([step({ secs: 1 }, { secs: 0.4 })], null, 1)]).seconds[0]).toMatchObject({
    median_error: 0,
  });
});

test("without records there are no figures", () => {
  expect(predictionAccuracy([])).toEqual({
    applies: 0,
    steps: 0,
    seconds: [],
    memory: null,
    download: null,
    whole: null,
  });
});
