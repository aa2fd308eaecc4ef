import { expect, test } from "vitest";
import { ApplyLines, applySummary, printApplyResult } from "../../../src/cli/print/print-apply-progress.ts";
import type { ApplyEvent, ApplyResult } from "../../../src/protocol/apply-events.ts";

const actual = { download_bytes: 0, vram_mb: null, was_done: false };
const plain = { colour: false };
const error = { code: "load_failed", message: "the file is broken", next: "mend it" } as const;

test.each<[ApplyEvent, string]>([
  [
    { type: "step-progress", step: "load m@a", state: "loading", fraction: 0.427 },
    "  load m@a: loading 42 %",
  ],
  [{ type: "step-progress", step: "load m@a", state: "queued", fraction: null }, "  load m@a: queued"],
  [
    { type: "step-progress", step: "load m@a", state: "busy", fraction: null },
    "  load m@a: the neuron cannot take it now, asking again",
  ],
  [
    {
      type: "step-progress",
      step: "load m@a",
      state: "downloading",
      fraction: 0.3,
      download: { bytes_done: 1_288_490_188, bytes_total: 4_294_967_296, eta_secs: 130 },
    },
    "  load m@a: downloading 30 %, 1.2 GiB of 4.0 GiB, 2 m 10 s left",
  ],
  [
    {
      type: "step-progress",
      step: "load m@a",
      state: "downloading",
      fraction: null,
      download: { bytes_done: 1024, bytes_total: null, eta_secs: null },
    },
    "  load m@a: downloading, 1.0 KiB",
  ],
  [
    { type: "step-done", step: "load m@a", duration_ms: 1500, predicted_secs: 2, actual },
    "  done load m@a (1.5 s)",
  ],
  [{ type: "step-failed", step: "load m@a", error, duration_ms: 1 }, "  failed load m@a: the file is broken"],
  [
    { type: "step-skipped", step: "load m@a", reason: "the apply was stopped" },
    "  skipped load m@a: the apply was stopped",
  ],
])("%j", (event, line) => {
  expect(new ApplyLines(plain).print(event)).toBe(line);
});

test("progress is told once for each state and so many percent, step by step", () => {
  const lines = new ApplyLines(plain);
  const progress = (step: string, fraction: number | null, bytes_done = 0): string | undefined =>
    lines.print({
      type: "step-progress",
      step,
      state: "downloading",
      fraction,
      download: { bytes_done, bytes_total: null, eta_secs: null },
    });
  expect(progress("a", 0)).toBeDefined();
  expect(progress("a", 0.01)).toBeUndefined();
  expect(progress("b", 0.01)).toBeDefined();
  expect(progress("a", 0.05)).toBeDefined();
  expect(progress("c", null, 0)).toBeDefined();
  expect(progress("c", null, 1_000_000)).toBeUndefined();
  expect(progress("c", null, 600_000_000)).toBeDefined();
  const busy = { type: "step-progress", step: "a", state: "busy", fraction: null } as const;
  expect([lines.print(busy), lines.print(busy)]).not.toContain(undefined);
});

test("a step that fetched its file is not held against what was foretold of its load", () => {
  const done = { type: "step-done", step: "a", duration_ms: 500_000, predicted_secs: 10 } as const;
  const lines = new ApplyLines(plain);
  expect(lines.print({ ...done, actual })).toContain("predicted 10.0 s");
  expect(lines.print({ ...done, actual: { ...actual, download_bytes: 1 } })).not.toContain("predicted");
});

test("failures are told in full, what was not started has its reason, counts come last", () => {
  const result: ApplyResult = {
    applied: [{ step: "load m@a", duration_ms: 5, actual }],
    failed: [{ step: "load n@b", error }],
    not_started: [{ step: "load o@b", reason: '"load n@b" failed on the same neuron' }],
    interrupted: true,
    timed_out: false,
    superseded: false,
    duration_ms: 12_300,
  };
  expect(printApplyResult(result, plain)).toBe(
    [
      "Failed load n@b",
      "  [load_failed] the file is broken",
      "  Next: mend it",
      "More: cortex explain load_failed",
      "Not started",
      '  load o@b: "load n@b" failed on the same neuron',
      "",
      "Applied 1, failed 1, not started 1, in 12.3 s. Stopped early.",
    ].join("\n"),
  );
  expect(applySummary({ ...result, failed: [], not_started: [], interrupted: false })).toBe(
    "Applied 1, failed 0, not started 0, in 12.3 s.",
  );
  expect(applySummary({ ...result, interrupted: false, timed_out: true })).toBe(
    "Applied 1, failed 1, not started 1, in 12.3 s. Out of time.",
  );
});
