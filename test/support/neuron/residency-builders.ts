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

export const factsOf = (memoryMb: number, parallel = 1): WorkerFacts => ({
  context_tokens: 1024,
  trained_context_tokens: 2048,
  max_output_tokens: 512,
  capabilities: ["text"],
  tool_call: false,
  reasoning: false,
  memory_bytes: memoryMb * MIB,
  parallel,
  architecture: "test",
  parameter_count: null,
});

export const devicesOf = (...totalMb: readonly number[]) =>
  totalMb.map((total, index) => ({ index, totalMb: total, foreignMb: 0, holds: [] }));

/** A residency that is driven by hand; keeps the effects and the last answer. */
export class DrivenResidency {
  state: Residency = emptyResidency;
  effects: ResidencyEffect[] = [];

  constructor(...deviceTotalsMb: readonly number[]) {
    this.on({ type: "devices-discovered", devices: devicesOf(...deviceTotalsMb) });
  }

  on(event: ResidencyEvent) {
    const step = reduceResidency(this.state, event);
    this.state = step.state;
    this.effects = [...step.effects];
    return step.answer;
  }

  load(jobId: string, spec: Record<string, unknown>, ifMatch: number | null = null) {
    return this.on({
      type: "load-requested",
      jobId,
      request: loadRequestSchema.parse(spec),
      ifMatch,
      atMs: 1,
    });
  }

  verified(instance: string, requiredMb: number, usedMb: ReadonlyMap<number, number> = new Map()) {
    const file = { path: "/m.gguf", contextTokens: 1024 };
    return this.on({ type: "source-verified", instance, file, requiredMb, usedMb, atMs: 2 });
  }

  ready(instance: string, memoryMb: number, parallel = 1) {
    return this.on({ type: "worker-ready", instance, facts: factsOf(memoryMb, parallel), atMs: 3 });
  }

  exited(instance: string, exit: { readonly code?: number; readonly signal?: string } = { code: 0 }) {
    const whole = { code: exit.code ?? null, signal: exit.signal ?? null, lastLogLines: ["bye"] };
    return this.on({ type: "worker-exited", instance, exit: whole, atMs: 9 });
  }

  unload(jobId: string, modelId: string, how: { readonly force?: boolean; readonly ifMatch?: number } = {}) {
    return this.on({
      type: "unload-requested",
      jobId,
      modelId,
      drainTimeoutMs: 1000,
      force: how.force ?? false,
      ifMatch: how.ifMatch ?? null,
      atMs: 5,
    });
  }

  /** Loads a model all the way. */
  resident(modelId: string, memoryMb: number, parallel = 1): string {
    const instance = `load-${modelId}`;
    this.load(instance, { model_id: modelId, parallel });
    this.verified(instance, memoryMb);
    this.ready(instance, memoryMb, parallel);
    return instance;
  }

  request(instance: string): void {
    this.on({ type: "request-started", instance, atMs: 4 });
  }

  requestEnds(instance: string): void {
    this.on({ type: "request-ended", instance, atMs: 6 });
  }

  phase(modelId: string): string | undefined {
    return this.state.models.get(modelId)?.phase.name;
  }

  /** State of a job and, when it failed, its code. */
  job(jobId: string): string {
    const job = this.state.jobs.get(jobId);
    return job?.error === null || job === undefined ? (job?.state ?? "none") : `failed:${job.error.code}`;
  }

  effectTypes(): readonly string[] {
    return this.effects.map(({ type }) => type);
  }
}
