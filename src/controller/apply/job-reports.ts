import { CortexError } from "../../core/errors.ts";
import { formatDuration } from "../../core/quantities.ts";
import type { ApplyEvent } from "../../protocol/apply-events.ts";
import type { Job } from "../../protocol/neuron-api.ts";
import { failureFromWire } from "../../protocol/neuron-failure.ts";
import type { PlanChange, PlanNeuron } from "../../protocol/plan-document.ts";

/**
 * What the apply tells of a job that it has followed for so long. The neuron's clock is its own: only the distance between
 * two of its times is used.
 */
// oxlint-disable-next-line max-params -- of which step, what, and since when
export function progressOf(step: string, job: Job, followedMs: number): ApplyEvent {
  const { state, progress, download, eta_at_ms: etaMs, created_at_ms: createdMs } = job;
  const leftMs = etaMs === undefined ? undefined : Math.max(0, etaMs - createdMs - followedMs);
  return {
    type: "step-progress",
    step,
    state,
    fraction: progress,
    ...(download === undefined ? {} : { download }),
    ...(leftMs === undefined ? {} : { eta_secs: Math.round(leftMs / 1000) }),
  };
}

/** Two reports of a job with the same signs: nothing happened between them. */
export const signOfLife = ({ state, progress, download }: Job): string =>
  [state, progress, download?.bytes_done, download?.bytes_total].join(" ");

export function jobFailure(job: Job): CortexError {
  const code = job.kind === "load" ? "load_failed" : "internal_error";
  if (job.error !== null) return failureFromWire(job.error, code);
  return new CortexError(code, `the ${job.kind} of ${job.model_id} failed without a reason`);
}

/** A copy of which nobody knew the size when it was planned is larger than what is free: asking again does not help. */
export const isTooLarge = (refusal: CortexError, change: PlanChange): boolean =>
  refusal.code === "insufficient_vram" && change.vram_source === "unknown" && change.depends_on.length === 0;

export const outgrown = (refusal: CortexError, { model_id }: PlanChange): CortexError =>
  new CortexError(refusal.code, `${refusal.message}; its size was not known when the plan was made`, {
    details: refusal.details,
    next: `write vram_mb into the block of ${model_id}, so that it is placed by its size, and plan again`,
    cause: refusal,
  });

/** A replace that lost its second half leaves the model down, and says so. */
export function halfDone(change: PlanChange, failure: CortexError): CortexError {
  const message = `the old copy is unloaded, and the new one is not loaded: ${failure.message}`;
  return new CortexError(failure.code, message, {
    details: { ...failure.details, model_id: change.model_id, neuron: change.neuron },
    next: failure.next,
    cause: failure,
  });
}

/** A copy that failed its probe; `stays`: why it could not be taken down again. */
// oxlint-disable-next-line max-params -- which, why, and what became of it
export function unfitCopy(change: PlanChange, failure: CortexError, stays: string | undefined): CortexError {
  const { model_id, neuron } = change;
  const gone =
    change.kind === "replace" ? "it was unloaded again, and the old copy is gone" : "it was unloaded again";
  const became =
    stays === undefined ? gone : `it could not be unloaded (${stays}) and may be asked by clients`;
  return new CortexError(failure.code, `${failure.message}; ${became}`, {
    details: { ...failure.details, model_id, neuron },
    next: failure.next,
    cause: failure,
  });
}

/** The job goes on at its neuron: what it waits for is to be found there. */
export function endlessJob(
  job: Job,
  { name, endpoint }: Pick<PlanNeuron, "name" | "endpoint">,
  why: "out-of-time" | { readonly silentMs: number },
): CortexError {
  const at = job.progress === null ? "" : ` at ${Math.floor(job.progress * 100)} %`;
  const verb = job.kind === "load" ? "loading" : "unloading";
  const message =
    why === "out-of-time"
      ? `the time for the apply was over (--timeout) while ${name} was ${verb} ${job.model_id} (${job.state}${at})`
      : `${name} has said nothing new of ${verb} ${job.model_id} for ${formatDuration(why.silentMs)} (${job.state}${at}; --step-timeout)`;
  const url = `${endpoint.replace(/\/+$/, "")}/jobs/${job.id}`;
  return new CortexError("step_timeout", message, {
    details: { neuron: name, job: job.id, state: job.state },
    next: `the neuron's log and ${url} tell what it waits for; a DELETE there calls a load off, and \`cortex apply\` goes on from here`,
  });
}
