import { expect, test } from "vitest";
import {
  applySummary,
  printApplyEvent,
  printApplyResult,
} from "../../../src/cli/print/print-apply-progress.ts";
import type { ApplyEvent, ApplyResult } from "../../../src/protocol/apply-events.ts";

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
    "  load m@a: the neuron is busy, asking again",
  ],
  [{ type: "step-done", step: "load m@a", duration_ms: 1500, predicted_secs: 2 }, "  done load m@a (1.5 s)"],
  [{ type: "step-failed", step: "load m@a", error, duration_ms: 1 }, "  failed load m@a: the file is broken"],
  [
    { type: "step-skipped", step: "load m@a", reason: "the apply was stopped" },
    "  skipped load m@a: the apply was stopped",
  ],
])("%j", (event, line) => {
  expect(printApplyEvent(event, plain)).toBe(line);
});

test("failures are told in full, what was not started has its reason, counts come last", () => {
  const result: ApplyResult = {
    applied: [{ step: "load m@a", duration_ms: 5 }],
    failed: [{ step: "load n@b", error }],
    not_started: [{ step: "load o@b", reason: '"load n@b" failed on the same neuron' }],
    interrupted: true,
    duration_ms: 12_300,
  };
  expect(printApplyResult(result, plain)).toBe(
    [
      "Failed load n@b",
      "  [load_failed] the file is broken",
      "  Next: mend it",
      "Not started",
      '  load o@b: "load n@b" failed on the same neuron',
      "",
      "Applied 1, failed 1, not started 1, in 12.3 s. Stopped early.",
    ].join("\n"),
  );
  expect(applySummary({ ...result, failed: [], not_started: [], interrupted: false })).toBe(
    "Applied 1, failed 0, not started 0, in 12.3 s.",
  );
});
