import { givingWay, workAt } from "./copy-watch.ts";
import { withLoad, withoutLoad } from "./load-news.ts";
import { planLoad, type Claim } from "./plan-load.ts";
import {
  copyKey,
  type Scheduler,
  type SchedulerEffect,
  type SchedulerStep,
  type Waiter,
} from "./scheduler-state.ts";
import { isOnDemand } from "./victims.ts";
import { releaseAll } from "./waiting.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { healthyNeurons, type NeuronView } from "../view/fleet-view.ts";

const UNLOAD_AGAIN_MS = 10_000;

/** Plans for every model that is waited for; who has waited longest chooses first. */
export function startLoads(start: Scheduler, atMs: number): SchedulerStep {
  let state = start;
  const effects: SchedulerEffect[] = [];
  const claims: Claim[] = [];
  const waits = [...start.queues]
    .map(([modelId, { waiters }]) => ({ modelId, sinceMs: waiters[0]?.arrivedAtMs ?? atMs }))
    .sort((left, right) => left.sinceMs - right.sinceMs);
  for (const { modelId, sinceMs } of waits) {
    const deserted = desertedBy(state.queues.get(modelId)?.waiters ?? []);
    const plan = planLoad(state, { modelId, waitedMs: atMs - sinceMs, deserted, atMs }, claims);
    if (plan.kind === "wait") {
      if (plan.claim !== undefined) claims.push(plan.claim);
      continue;
    }
    const step =
      plan.kind === "start"
        ? startLoad(state, { modelId, ...plan, atMs })
        : releaseAll(
            state,
            modelId,
            plan.kind === "refuse" ? { kind: "refused", error: plan.error } : { kind: "decide-again" },
          );
    ({ state } = step);
    effects.push(...step.effects);
  }
  return { state, effects };
}

/** Neurons that every one of the waiters has found dead, whatever the view still says. */
function desertedBy([first, ...others]: readonly Waiter[]): ReadonlySet<string> {
  const names = [...(first?.excluded ?? [])];
  return new Set(names.filter((name) => others.every(({ excluded }) => excluded.has(name))));
}

interface LoadStart {
  readonly modelId: string;
  readonly neuron: string;
  readonly evict: readonly string[];
  readonly joined: boolean;
  readonly atMs: number;
}

function startLoad(state: Scheduler, start: LoadStart): SchedulerStep {
  const { modelId, neuron, evict, joined, atMs } = start;
  const attempt = state.nextAttempt;
  const load = {
    modelId,
    neuron,
    attempt,
    joined,
    evict,
    jobId: null,
    jobState: null,
    progress: null,
    startedAtMs: atMs,
    keepUntilMs: atMs + state.policy.lingerMs,
  };
  const generation = joined ? null : (state.view.neurons.get(neuron)?.generation ?? null);
  return {
    state: { ...withLoad(state, load), nextAttempt: attempt + 1 },
    effects: [{ kind: "start-load", modelId, neuron, attempt, evict, generation }],
  };
}

/** Takes back what nobody has come back for. Declared residents are wanted, whoever waits. */
export function cancelUnwanted(start: Scheduler, atMs: number): SchedulerStep {
  let state = start;
  const effects: SchedulerEffect[] = [];
  for (const { modelId, neuron, attempt, jobId, keepUntilMs } of start.loads.values()) {
    // Not accepted yet: whether there is a job to cancel is known only when the neuron has answered.
    if (state.queues.has(modelId) || keepUntilMs > atMs || jobId === null) continue;
    if ((state.fleet.modelsById.get(modelId)?.replicas ?? 0) > 0) continue;
    state = withoutLoad(state, modelId);
    effects.push({ kind: "cancel-load", modelId, neuron, attempt, jobId });
  }
  return { state, effects };
}

/** Asks neurons to let on-demand copies go that nobody has used for as long as their block says. */
export function unloadIdle(start: Scheduler, atMs: number): SchedulerStep {
  const unloads = new Map(start.unloads);
  const effects: SchedulerEffect[] = [];
  for (const neuron of healthyNeurons(start.view)) {
    const { name, generation } = neuron;
    if (generation === null) continue;
    for (const model of neuron.models.values()) {
      if (!isIdleTooLong(start, { neuron, model, atMs })) continue;
      unloads.set(copyKey(name, model.id), atMs + UNLOAD_AGAIN_MS);
      effects.push({ kind: "unload-idle", modelId: model.id, neuron: name, generation });
    }
  }
  return { state: effects.length === 0 ? start : { ...start, unloads }, effects };
}

function isIdleTooLong(
  state: Scheduler,
  copy: { readonly neuron: NeuronView; readonly model: ResidentModel; readonly atMs: number },
): boolean {
  const { neuron, model, atMs } = copy;
  const idleSecs = state.fleet.modelsById.get(model.id)?.idle_unload_secs;
  if (idleSecs === undefined || model.status !== "loaded" || !isOnDemand(state, model)) return false;
  const key = copyKey(neuron.name, model.id);
  // A copy with work is idle since never.
  const idleSinceMs = state.copies.get(key)?.idleSinceMs ?? Infinity;
  if (atMs - idleSinceMs < idleSecs * 1000) return false;
  if ((state.unloads.get(key) ?? atMs) > atMs) return false;
  const isWanted = state.queues.has(model.id) || workAt(state, neuron, model.id) > 0;
  return !isWanted && !givingWay(state, neuron.name).has(model.id);
}

/** In how many milliseconds a copy goes if nobody uses it; null where only others' needs make it go, or nothing. */
export function leavesInMs(
  state: Scheduler,
  copy: { readonly neuron: string; readonly model: ResidentModel; readonly atMs: number },
): number | null {
  const { neuron, model, atMs } = copy;
  const idleSecs = state.fleet.modelsById.get(model.id)?.idle_unload_secs;
  if (idleSecs === undefined || model.status !== "loaded" || !isOnDemand(state, model)) return null;
  const idleSinceMs = state.copies.get(copyKey(neuron, model.id))?.idleSinceMs ?? atMs;
  return Math.max(0, idleSinceMs + idleSecs * 1000 - atMs);
}
