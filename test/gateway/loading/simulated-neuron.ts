import { inFlightAt } from "../../../src/gateway/loading/copy-watch.ts";
import type { Scheduler, SchedulerPolicy } from "../../../src/gateway/loading/scheduler-state.ts";
import type { NeuronView } from "../../../src/gateway/view/fleet-view.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { devicesOf, discoveryOf } from "../view-builder.ts";

export const POLICY: SchedulerPolicy = {
  strategy: "lru",
  minResidencyMs: null,
  drainMs: 30_000,
  lingerMs: 60_000,
  maxWaitersPerModel: 64,
  defragAfterCycles: 0,
};

export interface ModelSketch {
  readonly id: string;
  readonly mib: number;
  readonly loadMs: number;
  readonly priority?: number;
  readonly replicas?: number;
  readonly parallel?: number;
  readonly idleUnloadSecs?: number;
}

export interface Copy {
  readonly modelId: string;
  status: "loading" | "loaded" | "unloading";
  readonly origin: "request" | "revision";
  readonly loadedAtMs: number;
  lastUsedMs: number | null;
  inFlight: number;
  cycles: number;
  failsRequests: boolean;
  /** In a row. */
  failedAtMs: readonly number[];
}

export const newCopy = (
  copy: Omit<Copy, "lastUsedMs" | "inFlight" | "cycles" | "failsRequests" | "failedAtMs">,
): Copy => ({
  ...copy,
  lastUsedMs: null,
  inFlight: 0,
  cycles: 0,
  failsRequests: false,
  failedAtMs: [],
});

/** A copy that fails what it gets is fast at it. */
export const FAST_FAILURE_MS = 10;

/** A request ends there. */
export function endAt(copy: Copy, nowMs: number): "served" | "failed" {
  copy.failedAtMs = copy.failsRequests ? [...copy.failedAtMs, nowMs] : [];
  if (copy.inFlight > 0) {
    copy.inFlight -= 1;
    copy.lastUsedMs = nowMs;
  }
  return copy.failsRequests ? "failed" : "served";
}

/** By what the copy did, not by what the scheduler makes of it. */
export const surelyRests = ({ failedAtMs }: Copy, nowMs: number): boolean =>
  failedAtMs.length >= 3 && nowMs - (failedAtMs.at(-1) ?? 0) < 1000;

export interface Job {
  readonly id: string;
  readonly modelId: string;
  readonly attempt: number;
  readonly victims: string[];
  readonly drainUntilMs: number;
  readonly fails: boolean;
  /** Null while others drain for it. */
  readyAtMs: number | null;
  readonly evicted: string[];
}

export interface SimulatedNeuron {
  readonly name: string;
  readonly totalMib: number;
  readonly copies: Map<string, Copy>;
  readonly jobs: Job[];
  generation: number;
  broken: Set<string>;
}

/** A copy leaves, and whoever stays has seen it go. */
export function withdraw(neuron: SimulatedNeuron, modelId: string): void {
  if (!neuron.copies.delete(modelId)) return;
  for (const copy of neuron.copies.values()) copy.cycles += 1;
}

/** It leaves and is there again, which takes no time here; false where its work in flight keeps it. */
export function comeBack(neuron: SimulatedNeuron, modelId: string, nowMs: number): boolean {
  const copy = neuron.copies.get(modelId);
  if (copy?.status !== "loaded" || copy.inFlight > 0) return false;
  const fresh = newCopy({ modelId, status: "loaded", origin: copy.origin, loadedAtMs: nowMs });
  neuron.copies.set(modelId, fresh);
  neuron.generation += 2;
  return true;
}

type Sketches = ReadonlyMap<string, ModelSketch>;

const mibOf = (models: Sketches, id: string): number => models.get(id)?.mib ?? 0;

export function freeMib(neuron: SimulatedNeuron, models: Sketches): number {
  const sum = (ids: readonly string[]) => ids.reduce((mib, id) => mib + mibOf(models, id), 0);
  // What is being made by a swap is promised to it.
  const promised = neuron.jobs
    .filter(({ readyAtMs }) => readyAtMs === null)
    .reduce((mib, job) => mib + Math.max(0, mibOf(models, job.modelId) - sum(job.victims)), 0);
  return neuron.totalMib - sum([...neuron.copies.keys()]) - promised;
}

/** What a gateway would know of the neuron. */
export function viewOf(
  neuron: SimulatedNeuron,
  { models, state, nowMs }: { readonly models: Sketches; readonly state: Scheduler; readonly nowMs: number },
): NeuronView {
  const devices = devicesOf([neuron.totalMib]);
  const copies = [...neuron.copies.values()];
  const parallel = (id: string) => models.get(id)?.parallel ?? 2;
  return {
    name: neuron.name,
    health: "healthy",
    misses: 0,
    problem: null,
    lastSeenMs: nowMs,
    discovery: discoveryOf(devices),
    readings: devices.map(({ index }) => ({
      index,
      vram_used_mb: neuron.totalMib - freeMib(neuron, models),
      vram_free_mb: freeMib(neuron, models),
      utilization_pct: null,
      temp_c: null,
    })),
    uptimeSecs: 1,
    draining: false,
    generation: neuron.generation,
    models: new Map(
      copies.map((copy) => [
        copy.modelId,
        residentModel(copy.modelId, {
          status: copy.status,
          vram_used_mb: mibOf(models, copy.modelId),
          parallel: parallel(copy.modelId),
          origin: { kind: copy.origin },
          last_used_ms: copy.lastUsedMs,
          loaded_at_ms: copy.loadedAtMs,
          cycles: copy.cycles,
        }),
      ]),
    ),
    loads: new Map(
      copies.map(({ modelId, inFlight }) => [
        modelId,
        {
          id: modelId,
          in_flight: Math.min(inFlight, parallel(modelId)),
          queue_depth: Math.max(0, inFlight - parallel(modelId)),
          max_in_flight: parallel(modelId),
          max_queue_depth: 8 * parallel(modelId),
          rejected_queue_full: 0,
        },
      ]),
    ),
    outstandingWhenSeen: new Map(
      copies.map(({ modelId }) => [modelId, inFlightAt(state, neuron.name, modelId)]),
    ),
  };
}
