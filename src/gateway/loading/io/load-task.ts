import type { Clock } from "../../../core/clock.ts";
import { CortexError, isErrorCode, toCortexError } from "../../../core/errors.ts";
import type { ModelBlock } from "../../../fleet/schema/fleet-schema.ts";
import { modelSpecFromBlock } from "../../../protocol/model-spec.ts";
import type { Job } from "../../../protocol/neuron-api.ts";
import type { ColdLoadEffect, ColdLoadEvent, LoadOutcome } from "../cold-load.ts";
import type { FleetIndex } from "../../view/fleet-index.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { neuronProblem } from "../../../protocol/neuron-failure.ts";
import type { NeuronPoller } from "../../view/io/neuron-poller.ts";

/** Looks at a job that may fail in a row before the neuron counts as gone. */
const JOB_MISSES_UNTIL_UNREACHABLE = 3;

export interface LoadTaskDeps {
  readonly clock: Clock;
  readonly fleet: FleetIndex;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly poller: NeuronPoller;
  readonly jobPollMs: number;
}

export type LoadTaskEffect = Extract<ColdLoadEffect, { kind: "start-load" | "watch-load" }>;

export interface LoadTask {
  readonly deps: LoadTaskDeps;
  readonly effect: LoadTaskEffect;
  readonly signal: AbortSignal;
  readonly dispatch: (event: ColdLoadEvent) => void;
}

/** Asks for the load and follows its job; null when it was told to stop. */
export async function followOwnLoad(context: LoadTask): Promise<LoadOutcome | null> {
  const { deps, effect, signal, dispatch } = context;
  const { modelId, attempt } = effect;
  const client = deps.neurons.get(effect.neuron);
  const block = deps.fleet.modelsById.get(modelId);
  if (client === undefined || block === undefined) {
    return { kind: "failed", error: new CortexError("internal_error", `nothing can load ${modelId}`) };
  }
  try {
    const answer = await client.load(loadRequest(block, deps.fleet.fleetName), { signal });
    if (answer.status === "loaded" || answer.job === null) return await loaded(context);
    dispatch({ kind: "load-accepted", modelId, attempt, jobId: answer.job.id });
    if (signal.aborted) return null;
    void deps.poller.refresh(effect.neuron);
    return await followJob(context, client, answer.job);
  } catch (thrown) {
    if (signal.aborted) return null;
    return outcomeOf(toCortexError(thrown), client.name);
  }
}

const loadRequest = (block: ModelBlock, fleet: string) => ({
  ...modelSpecFromBlock(block),
  origin: { kind: "request" as const, fleet },
});

async function followJob(context: LoadTask, client: NeuronClient, first: Job): Promise<LoadOutcome | null> {
  const { deps, effect, signal, dispatch } = context;
  let job = first;
  let misses = 0;
  for (;;) {
    if (job.state === "done") return loaded(context);
    if (job.state === "failed") return outcomeOf(jobError(job));
    const { state: jobState, progress } = job;
    dispatch({
      kind: "load-progressed",
      modelId: effect.modelId,
      attempt: effect.attempt,
      jobState,
      progress,
    });
    if (!(await sleptThrough(deps.clock, deps.jobPollMs, signal))) return null;
    try {
      job = await client.job(job.id, signal);
      misses = 0;
    } catch (thrown) {
      if (signal.aborted) return null;
      const error = toCortexError(thrown);
      misses += 1;
      const passing = isUnreachable(error) && misses < JOB_MISSES_UNTIL_UNREACHABLE;
      if (!passing) return outcomeOf(error, client.name);
    }
  }
}

/** The view learns of the copy before anybody is sent there. */
async function loaded({ deps, effect }: LoadTask): Promise<LoadOutcome> {
  await deps.poller.refresh(effect.neuron);
  return { kind: "loaded" };
}

function jobError(job: Job): CortexError {
  const { code, message, next, ...details } = job.error ?? {
    code: "load_failed",
    message: `${job.model_id} could not be loaded`,
    next: "the neuron's log has the engine's own words",
  };
  return new CortexError(isErrorCode(code) ? code : "load_failed", message, { next, details });
}

/** Trouble between the gateway and the neuron, a refused token included: nothing that a client could mend. */
const isUnreachable = (error: CortexError): boolean =>
  error.code === "upstream_connection_error" || neuronProblem(error) !== undefined;

/** `refusedBy` names the neuron that refused the call, so that the client learns who said it. */
function outcomeOf(error: CortexError, refusedBy?: string): LoadOutcome {
  if (isUnreachable(error)) return { kind: "unreachable" };
  // Somebody else cancelled it, or the neuron has restarted and forgotten it.
  if (error.code === "job_cancelled" || error.code === "job_not_found") return { kind: "vanished" };
  return { kind: "failed", error: refusedBy === undefined ? error : saidBy(refusedBy, error) };
}

function saidBy(neuron: string, error: CortexError): CortexError {
  const { code, details, next, param, retryAfterSecs } = error;
  return new CortexError(code, `${neuron}: ${error.message}`, {
    details,
    next,
    ...(param === undefined ? {} : { param }),
    ...(retryAfterSecs === undefined ? {} : { retryAfterSecs }),
  });
}

/** Looks on while somebody else loads the model; null when it was told to stop. */
export async function watchForeignLoad({ deps, effect, signal }: LoadTask): Promise<LoadOutcome | null> {
  for (;;) {
    // Looked at before the first wait: the view may be a poll old and the model long ready.
    await deps.poller.refresh(effect.neuron);
    if (signal.aborted) return null;
    const neuron = deps.poller.view().neurons.get(effect.neuron);
    if (neuron?.health !== "healthy") return { kind: "unreachable" };
    const status = neuron.models.get(effect.modelId)?.status;
    if (status === "loaded") return { kind: "loaded" };
    if (status !== "loading") return { kind: "vanished" };
    if (!(await sleptThrough(deps.clock, deps.jobPollMs, signal))) return null;
  }
}
