import { reduceResidency } from "../../../src/neuron/residency/residency.ts";
import {
  emptyResidency,
  type Residency,
  type ResidencyEffect,
  type ResidencyEvent,
} from "../../../src/neuron/residency/residency-state.ts";
import type { WorkerFacts } from "../../../src/protocol/worker-messages.ts";
import { loadRequestSchema } from "../../../src/protocol/neuron-api.ts";

export const MIB = 1024 * 1024;

export const factsOf = (memoryMib: number, parallel = 1): WorkerFacts => ({
  context_tokens: 1024,
  trained_context_tokens: 2048,
  max_output_tokens: 512,
  capabilities: ["text"],
  tool_call: false,
  reasoning: false,
  memory_bytes: memoryMib * MIB,
  parallel,
  architecture: "test",
  parameter_count: null,
});

export const devicesOf = (...totalMib: readonly number[]) =>
  totalMib.map((total, index) => ({ index, totalMib: total, foreignMib: 0, holds: [] }));

/** A residency that is driven by hand; keeps the effects and the last answer. */
export class DrivenResidency {
  state: Residency = emptyResidency;
  effects: ResidencyEffect[] = [];

  constructor(...deviceTotalsMib: readonly number[]) {
    this.on({ kind: "devices-discovered", devices: devicesOf(...deviceTotalsMib) });
  }

  on(event: ResidencyEvent) {
    const step = reduceResidency(this.state, event);
    this.state = step.state;
    this.effects = [...step.effects];
    return step.answer;
  }

  load(jobId: string, spec: Record<string, unknown>, ifMatch: number | null = null) {
    return this.on({
      kind: "load-requested",
      jobId,
      request: loadRequestSchema.parse(spec),
      condition: { ifMatch, epoch: null },
      atMs: 1,
    });
  }

  swap(
    jobId: string,
    spec: Record<string, unknown>,
    how: {
      readonly evict: readonly string[];
      readonly force?: boolean;
      readonly ifMatch?: number;
      readonly epoch?: number;
    },
  ) {
    return this.on({
      kind: "swap-requested",
      jobId,
      request: loadRequestSchema.parse(spec),
      evict: how.evict,
      drainTimeoutMs: 1000,
      force: how.force ?? false,
      condition: { ifMatch: how.ifMatch ?? null, epoch: how.epoch ?? null },
      atMs: 1,
    });
  }

  verified(instance: string, requiredMib: number, usedMib: ReadonlyMap<number, number> = new Map()) {
    const file = { path: "/m.gguf", fileBytes: 1, contextTokens: 1024, requiredMib, predictedMs: null };
    return this.on({ kind: "source-verified", instance, file, requiredMib, usedMib, atMs: 2 });
  }

  arrived(instance: string, memoryMib: number, parallel = 1) {
    this.on({ kind: "model-loaded", instance, facts: factsOf(memoryMib, parallel), atMs: 3 });
  }

  kept(instance: string) {
    this.on({ kind: "assignment-kept", instance, atMs: 3 });
  }

  /** Arrived, and kept. */
  ready(instance: string, memoryMib: number, parallel = 1) {
    this.arrived(instance, memoryMib, parallel);
    const arrival = this.effects;
    this.kept(instance);
    this.effects = [...arrival, ...this.effects];
  }

  exited(
    instance: string,
    exit: { readonly code?: number; readonly signal?: string } = { code: 0 },
    usedMib: ReadonlyMap<number, number> = new Map(),
  ) {
    const whole = { code: exit.code ?? null, signal: exit.signal ?? null, lastLogLines: ["bye"] };
    return this.on({ kind: "worker-exited", instance, exit: whole, usedMib, atMs: 9 });
  }

  unload(
    jobId: string,
    modelId: string,
    how: {
      readonly force?: boolean;
      readonly reload?: boolean;
      readonly ifMatch?: number;
      readonly epoch?: number;
    } = {},
  ) {
    return this.on({
      kind: "unload-requested",
      jobId,
      modelId,
      drainTimeoutMs: 1000,
      force: how.force ?? false,
      reload: how.reload ?? false,
      condition: { ifMatch: how.ifMatch ?? null, epoch: how.epoch ?? null },
      atMs: 5,
    });
  }

  /** Loads a model all the way. */
  resident(modelId: string, memoryMib: number, parallel = 1): string {
    const instance = `load-${modelId}`;
    this.load(instance, { model_id: modelId, parallel });
    this.verified(instance, memoryMib);
    this.ready(instance, memoryMib, parallel);
    return instance;
  }

  request(instance: string): void {
    this.on({ kind: "request-started", instance, atMs: 4 });
  }

  requestEnds(instance: string): void {
    this.on({ kind: "request-ended", instance, atMs: 6 });
  }

  phase(modelId: string): string | undefined {
    return this.state.models.get(modelId)?.phase.name;
  }

  /** State of a job and, when it failed, its code. */
  job(jobId: string): string {
    const job = this.state.jobs.get(jobId);
    return job?.error === null || job === undefined ? (job?.state ?? "none") : `failed:${job.error.code}`;
  }

  effectKinds(): readonly string[] {
    return this.effects.map(({ kind }) => kind);
  }
}
