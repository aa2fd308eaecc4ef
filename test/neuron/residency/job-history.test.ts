import { expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import {
  advanceJob,
  endJob,
  jobFailure,
  openJob,
  type JobHistory,
} from "../../../src/neuron/residency/job-history.ts";

const opened = (jobs: JobHistory, id: string): JobHistory =>
  openJob(jobs, { id, kind: "load", model_id: "m", state: "verifying", created_at_ms: 1 });

test("the last hundred ended jobs are kept, and every running one", () => {
  let jobs: JobHistory = opened(new Map(), "running");
  for (let number = 0; number < 150; number += 1) {
    jobs = endJob(opened(jobs, `j${number}`), `j${number}`, { atMs: 2, failure: null });
  }
  expect(jobs.size).toBe(101);
  expect([jobs.has("running"), jobs.has("j49"), jobs.has("j50")]).toEqual([true, false, true]);
});

test("a job ends once; after that nothing moves it", () => {
  const ended = endJob(opened(new Map(), "j"), "j", { atMs: 2, failure: null });
  expect(advanceJob(ended, "j", { state: "loading" })).toBe(ended);
  expect(endJob(ended, "j", { atMs: 3, failure: new CortexError("load_failed", "late") })).toBe(ended);
});

test("progress belongs to a step", () => {
  let jobs = advanceJob(opened(new Map(), "j"), "j", { state: "loading" });
  jobs = advanceJob(jobs, "j", { progress: 0.7 });
  expect(advanceJob(jobs, "j", { state: "loading" }).get("j")?.progress).toBe(0.7);
  expect(advanceJob(jobs, "j", { state: "stopping" }).get("j")?.progress).toBeNull();
});

test("a failure survives the wire with its details and its next step", () => {
  const failure = new CortexError("insufficient_vram", "full", {
    details: { free_mb: 3 },
    next: "do this",
    param: "devices",
    retryAfterSecs: null,
  });
  const job = endJob(opened(new Map(), "j"), "j", { atMs: 2, failure }).get("j");
  const read = job === undefined ? null : jobFailure(job);
  expect(read).toMatchObject({
    code: "insufficient_vram",
    message: "full",
    next: "do this",
    param: "devices",
    isFinal: true,
  });
  expect(read?.details).toEqual({ free_mb: 3, job_id: "j" });
});
