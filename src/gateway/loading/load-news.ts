import { CortexError, type ErrorCode } from "../../core/errors.ts";
import { assertNever } from "../../core/assert-never.ts";
import {
  copyKey,
  type LoadOutcome,
  type ModelInLoad,
  type Scheduler,
  type SchedulerEventOf,
} from "./scheduler-state.ts";

const current = (
  state: Scheduler,
  { modelId, attempt }: { readonly modelId: string; readonly attempt: number },
): ModelInLoad | undefined => {
  const load = state.loads.get(modelId);
  return load?.attempt === attempt ? load : undefined;
};

export const withLoad = (state: Scheduler, load: ModelInLoad): Scheduler => ({
  ...state,
  loads: new Map(state.loads).set(load.modelId, load),
});

export function withoutLoad(state: Scheduler, modelId: string): Scheduler {
  const loads = new Map(state.loads);
  loads.delete(modelId);
  return { ...state, loads };
}

/** What a model is loaded for goes on until then, whoever waits. */
export function keepFor(state: Scheduler, modelId: string, untilMs: number): Scheduler {
  const load = state.loads.get(modelId);
  if (load === undefined || load.keepUntilMs >= untilMs) return state;
  return withLoad(state, { ...load, keepUntilMs: untilMs });
}

export function onLoadAccepted(state: Scheduler, event: SchedulerEventOf<"load-accepted">): Scheduler {
  const load = current(state, event);
  return load === undefined ? state : withLoad(state, { ...load, jobId: event.jobId });
}

export function onLoadProgressed(state: Scheduler, event: SchedulerEventOf<"load-progressed">): Scheduler {
  const load = current(state, event);
  if (load === undefined) return state;
  return withLoad(state, { ...load, jobState: event.jobState, progress: event.progress });
}

export function onLoadEnded(state: Scheduler, event: SchedulerEventOf<"load-ended">): Scheduler {
  const load = current(state, event);
  if (load === undefined) return state;
  const { outcome, atMs } = event;
  const ended = withoutLoad(state, load.modelId);
  if (outcome.kind !== "loaded") return withFailure(learnNeed(ended, load, outcome), load, { outcome, atMs });
  const failures = new Map(ended.failures);
  failures.delete(copyKey(load.neuron, load.modelId));
  return { ...ended, failures };
}

/** A neuron that has read the file knows what the model takes. */
function learnNeed(state: Scheduler, load: ModelInLoad, outcome: LoadOutcome): Scheduler {
  if (outcome.kind !== "failed" || outcome.error.code !== "insufficient_vram") return state;
  const { required_mb: required } = outcome.error.details;
  if (typeof required !== "number") return state;
  return { ...state, neededMib: new Map(state.neededMib).set(load.modelId, required) };
}

interface LoadFailure {
  readonly error: CortexError;
  readonly passing: boolean;
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
}

/** What others hold or do now. Everything else is wrong with the model, its file or the neuron, and stays so a while. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "insufficient_vram",
  "model_busy",
  "draining",
  "job_cancelled",
  "model_loading",
]);

function withFailure(
  state: Scheduler,
  load: ModelInLoad,
  { outcome, atMs }: { readonly outcome: Exclude<LoadOutcome, { kind: "loaded" }>; readonly atMs: number },
): Scheduler {
  const failure = failureOf(outcome, load);
  const key = copyKey(load.neuron, load.modelId);
  const before = state.failures.get(key);
  const times = before?.passing === failure.passing ? before.times + 1 : 1;
  const backOffMs = Math.min(failure.longestBackOffMs, failure.firstBackOffMs * 2 ** (times - 1));
  const askedMs = (failure.error.retryAfterSecs ?? 0) * 1000;
  const retryAtMs = atMs + (failure.passing ? backOffMs : Math.max(backOffMs, askedMs));
  const { modelId, neuron } = load;
  const { error, passing } = failure;
  const failures = new Map(state.failures).set(key, { modelId, neuron, error, times, retryAtMs, passing });
  return { ...state, failures };
}

function failureOf(outcome: Exclude<LoadOutcome, { kind: "loaded" }>, load: ModelInLoad): LoadFailure {
  switch (outcome.kind) {
    case "failed": {
      const { error } = outcome;
      return PASSING.has(error.code)
        ? { error, passing: true, firstBackOffMs: 1_000, longestBackOffMs: 15_000 }
        : { error, passing: false, firstBackOffMs: 10_000, longestBackOffMs: 300_000 };
    }
    case "stale":
      return {
        error: new CortexError("stale_generation", `${load.neuron} had changed since it was seen`),
        passing: true,
        firstBackOffMs: 100,
        longestBackOffMs: 1_000,
      };
    case "vanished":
      return {
        error: new CortexError("job_cancelled", `the load of ${load.modelId} was ended by somebody else`),
        passing: true,
        firstBackOffMs: 500,
        longestBackOffMs: 5_000,
      };
    case "unreachable":
      return {
        error: new CortexError("upstream_connection_error", `${load.neuron} does not answer`),
        passing: false,
        firstBackOffMs: 3_000,
        longestBackOffMs: 30_000,
      };
    default:
      return assertNever(outcome);
  }
}
