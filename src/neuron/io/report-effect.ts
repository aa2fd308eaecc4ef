import type { Logger } from "../../platform/logger.ts";
import { describeExit } from "../residency/worker-exit.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";
import type { ReportEffect } from "../residency/residency-state.ts";
import type { NeuronMetrics } from "./neuron-metrics.ts";

/** Into the metrics and the log: a job that ended, a worker that was lost. */
export function reportEffect(
  effect: ReportEffect,
  told: { readonly loop: ResidencyLoop; readonly metrics: NeuronMetrics; readonly logger: Logger },
): void {
  if (effect.kind === "report-worker-lost") {
    const { modelId, exit, openRequests } = effect;
    told.metrics.countCrash(modelId);
    told.logger.error(
      {
        model: modelId,
        signal: exit.signal,
        exitCode: exit.code,
        openRequests,
        lastLogLines: exit.lastLogLines,
      },
      `the worker of ${modelId} ${describeExit(exit)}`,
    );
    return;
  }
  const job = told.loop.state.jobs.get(effect.jobId);
  if (job === undefined || job.ended_at_ms === null) return;
  const durationMs = job.ended_at_ms - job.created_at_ms;
  told.metrics.observeLoad(job.error === null ? "done" : "failed", durationMs / 1000);
  if (job.error === null) told.logger.info({ model: job.model_id, durationMs }, "model loaded");
  else told.logger.warn({ model: job.model_id, durationMs, error: job.error }, "model not loaded");
}
