import type { CortexError } from "../../core/errors.ts";
import type { Job } from "../../protocol/neuron-api.ts";
import { failureFromWire, failureOnTheWire } from "../../protocol/neuron-failure.ts";

/** Jobs by id, oldest first. Running ones are always kept; of the ended ones the last hundred. */
export type JobHistory = ReadonlyMap<string, Job>;

const KEPT_ENDED_JOBS = 100;

export const jobHasEnded = (job: Job): boolean => job.ended_at_ms !== null;

export function openJob(
  jobs: JobHistory,
  job: Pick<Job, "id" | "kind" | "model_id" | "state" | "created_at_ms">,
): JobHistory {
  return new Map(jobs).set(job.id, { ...job, progress: null, ended_at_ms: null, error: null });
}

/** Moves a running job on; an ended or unknown job stays what it is. */
export function advanceJob(
  jobs: JobHistory,
  jobId: string,
  change: Partial<Pick<Job, "state" | "progress" | "download" | "evicted" | "eta_at_ms">>,
): JobHistory {
  const job = jobs.get(jobId);
  if (job === undefined || jobHasEnded(job)) return jobs;
  const entersNewState = change.state !== undefined && change.state !== job.state;
  if (!entersNewState) return new Map(jobs).set(jobId, { ...job, ...change });
  const { download: _ofTheOldState, ...kept } = job;
  return new Map(jobs).set(jobId, { ...kept, progress: null, ...change });
}

/** Ends a job once, with its failure or as done, and forgets the oldest ended ones. */
export function endJob(
  jobs: JobHistory,
  jobId: string,
  end: { readonly atMs: number; readonly failure: CortexError | null },
): JobHistory {
  const job = jobs.get(jobId);
  if (job === undefined || jobHasEnded(job)) return jobs;
  const { download: _over, eta_at_ms: _met, ...kept } = job;
  const next = new Map(jobs).set(jobId, {
    ...kept,
    state: end.failure === null ? "done" : "failed",
    progress: null,
    ended_at_ms: end.atMs,
    error: end.failure === null ? null : failureOnTheWire(end.failure),
  });
  const ended = [...next.values()].filter(jobHasEnded);
  for (const old of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED_JOBS))) next.delete(old.id);
  return next;
}

/** The failure of an ended job as the error that a waiting caller gets; null when it succeeded. */
export function jobFailure(job: Job): CortexError | null {
  if (job.error === null) return null;
  return failureFromWire({ ...job.error, job_id: job.id }, "internal_error");
}
