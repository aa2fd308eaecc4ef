import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { ModelBlock } from "../../../fleet/schema/fleet-schema.ts";
import { modelSpecFromBlock } from "../../../protocol/model-spec.ts";
import type { Job } from "../../../protocol/neuron-api.ts";
import type { LoadOutcome, SchedulerEffect, SchedulerEvent } from "../scheduler-state.ts";
import type { FleetIndex } from "../../view/fleet-index.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { failureFromWire, neuronProblem } from "../../../protocol/neuron-failure.ts";
import type { NeuronPoller } from "../../view/io/neuron-poller.ts";

/** Looks at a job that may fail in a row before the neuron counts as gone. */
const JOB_MISSES_UNTIL_UNREACHABLE = 3;

export interface LoadTaskDeps {
  readonly clock: Clock;
  readonly fleet: FleetIndex;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly poller: NeuronPoller;
  readonly jobPollMs: number;
  /** How long the work in flight of a model that gives way may take to end. */
  readonly drainMs: number;
}

export type LoadTaskEffect = Extract<SchedulerEffect, { kind: "start-load" }>;

export interface LoadTask {
  readonly deps: LoadTaskDeps;
  readonly effect: LoadTaskEffect;
  readonly signal: AbortSignal;
  readonly dispatch: (event: SchedulerEvent) => void;
}

export interface LoadEnd {
  readonly outcome: LoadOutcome;
  /** Who was told to go for it. */
  readonly evicted: readonly string[];
}

const ended = (outcome: LoadOutcome, evicted: readonly string[] = []): LoadEnd => ({ outcome, evicted });

/** Asks for the load, or joins the one that runs, and follows its job; null when it was told to stop. */
export async function followLoad(task: LoadTask): Promise<LoadEnd | null> {
  const { deps, effect, signal, dispatch } = task;
  const { modelId, attempt } = effect;
  const client = deps.neurons.get(effect.neuron);
  const block = deps.fleet.modelsById.get(modelId);
  if (client === undefined || block === undefined) {
    const error = new CortexError("internal_error", `nothing can load ${modelId}`);
    return ended({ kind: "failed", error });
  }
  try {
    const answer = await ask(task, client, block);
    if (answer.status === "loaded" || answer.job === null) return await loaded(task);
    const { id: jobId } = answer.job;
    dispatch({ kind: "load-accepted", modelId, attempt, jobId, atMs: deps.clock.monotonicMs() });
    if (signal.aborted) return null;
    void deps.poller.refresh(effect.neuron);
    return await followJob(task, client, answer.job);
  } catch (thrown) {
    if (signal.aborted) return null;
    // Whatever went wrong, the neuron may be at work already: who decides next must see it.
    await deps.poller.refresh(effect.neuron);
    return signal.aborted ? null : ended(outcomeOf(toCortexError(thrown)));
  }
}

function ask({ deps, effect, signal }: LoadTask, client: NeuronClient, block: ModelBlock) {
  const { fleetName, repository } = deps.fleet;
  const marks = repository === undefined ? {} : { repository: [...repository] };
  const origin = { kind: "request" as const, fleet: fleetName, ...marks };
  const load = { ...modelSpecFromBlock(block), origin };
  const { evict, generation } = effect;
  const options = { signal, ...(generation === null ? {} : { generation }) };
  if (evict.length === 0) return client.load(load, options);
  const swap = { load, evict: [...evict], drain_timeout_secs: deps.drainMs / 1000, force: false };
  return client.swap(swap, options);
}

async function followJob(task: LoadTask, client: NeuronClient, first: Job): Promise<LoadEnd | null> {
  const { deps, effect, signal, dispatch } = task;
  let job = first;
  let misses = 0;
  for (;;) {
    if (job.state === "done") return loaded(task, job.evicted);
    if (job.state === "failed") {
      await deps.poller.refresh(effect.neuron);
      return ended(outcomeOf(jobError(job)), job.evicted);
    }
    const { state: jobState, progress } = job;
    const { modelId, attempt } = effect;
    dispatch({
      kind: "load-progressed",
      modelId,
      attempt,
      jobState,
      progress,
      atMs: deps.clock.monotonicMs(),
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
      if (!passing) return ended(outcomeOf(error), job.evicted);
    }
  }
}

/** The view learns of the copy before anybody is sent there. */
async function loaded({ deps, effect }: LoadTask, evicted?: readonly string[]): Promise<LoadEnd> {
  await deps.poller.refresh(effect.neuron);
  return ended({ kind: "loaded" }, evicted);
}

const jobError = (job: Job): CortexError =>
  job.error === null
    ? new CortexError("load_failed", `${job.model_id} could not be loaded`, {
        next: "the neuron's log has the engine's own words",
      })
    : failureFromWire(job.error, "load_failed");

/** Trouble between the gateway and the neuron, a refused token included: nothing that a client could mend. */
const isUnreachable = (error: CortexError): boolean =>
  error.code === "upstream_connection_error" || neuronProblem(error) !== undefined;

function outcomeOf(error: CortexError): LoadOutcome {
  if (isUnreachable(error)) return { kind: "unreachable" };
  if (error.code === "stale_generation") return { kind: "stale" };
  // Somebody else cancelled it, or the neuron has restarted and forgotten it.
  const isGone = error.code === "job_cancelled" || error.code === "job_not_found";
  return isGone ? { kind: "vanished" } : { kind: "failed", error };
}
