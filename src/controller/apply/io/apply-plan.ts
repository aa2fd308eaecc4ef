import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { ApplyEvent, ApplyResult, StepError } from "../../../protocol/apply-events.ts";
import type { PlanChange, PlanDocument, PlanNeuron } from "../../../protocol/plan-document.ts";
import { applyIsOver, beginApply, stepApply, type ApplyEffect, type ApplyState } from "../apply-steps.ts";
import { checkBeforeApply } from "../check-before-apply.ts";
import { createNeuronClient, type NeuronClient } from "../../../protocol/io/neuron-client.ts";
import { NeuronLane, StepWithdrawn } from "./neuron-lane.ts";

export interface ApplyDeps {
  readonly clock: Clock;
  readonly onEvent: (event: ApplyEvent) => void;
  /** Shared secret of the neurons. */
  readonly neuronToken?: string | undefined;
  /** Aborted: what runs is finished, nothing more is started. */
  readonly signal?: AbortSignal | undefined;
  /** Most neurons changed at once; 10 by default. */
  readonly parallelism?: number | undefined;
  readonly allowProtected?: boolean | undefined;
  /** Most of what is loaded that may be taken away; the plan's own limit by default. */
  readonly maxUnloadPercent?: number | undefined;
  /** How long a busy neuron is asked again; 2 minutes by default. */
  readonly busyTimeoutMs?: number | undefined;
  /** How long in-flight requests may take to end before an unload fails; the neuron's own default otherwise. */
  readonly drainTimeoutSecs?: number | undefined;
  readonly callTimeoutMs?: number | undefined;
}

const DEFAULT_PARALLELISM = 10;
const CALL_TIMEOUT_MS = 15_000;

/**
 * Carries out a plan. Resolves when every change is applied, failed or set aside; a neuron's failure is in the
 * result, not an exception; a plan that is not sound or unloads too much is (`plan_refused`, `mass_unload`). Carrying out the same plan again is safe:
 * each neuron is looked at first and refuses unless it is as the plan saw it, or as this plan leaves it.
 */
export async function applyPlan(plan: PlanDocument, deps: ApplyDeps): Promise<ApplyResult> {
  checkBeforeApply(plan, deps);
  const { state, effects } = beginApply(plan, {
    parallelism: deps.parallelism ?? DEFAULT_PARALLELISM,
    allowProtected: deps.allowProtected ?? false,
  });
  return new PlanRun(plan, deps, state).run(effects);
}

class PlanRun {
  readonly #plan: PlanDocument;
  readonly #deps: ApplyDeps;
  readonly #lanes = new Map<string, NeuronLane>();
  readonly #clients: NeuronClient[] = [];
  readonly #applied: { step: string; duration_ms: number }[] = [];
  readonly #failed: { step: string; error: StepError }[] = [];
  readonly #notStarted: { step: string; reason: string }[] = [];
  readonly #over = Promise.withResolvers<void>();
  #state: ApplyState;

  constructor(plan: PlanDocument, deps: ApplyDeps, state: ApplyState) {
    this.#plan = plan;
    this.#deps = deps;
    this.#state = state;
  }

  async run(first: readonly ApplyEffect[]): Promise<ApplyResult> {
    const startedMs = this.#deps.clock.monotonicMs();
    this.#carryOut(first);
    const stop = (): void => this.#dispatch({ kind: "stop-requested" });
    this.#dispatch({ kind: this.#deps.signal?.aborted === true ? "stop-requested" : "apply-begun" });
    this.#deps.signal?.addEventListener("abort", stop);
    await this.#over.promise;
    this.#deps.signal?.removeEventListener("abort", stop);
    await Promise.all(this.#clients.map((client) => client.destroy()));
    return {
      applied: this.#applied,
      failed: this.#failed,
      not_started: this.#notStarted,
      interrupted: this.#state.stopping,
      duration_ms: this.#elapsedSince(startedMs),
    };
  }

  #dispatch(event: Parameters<typeof stepApply>[1]): void {
    const { state, effects } = stepApply(this.#state, event);
    this.#state = state;
    this.#carryOut(effects);
    if (applyIsOver(this.#state)) this.#over.resolve();
  }

  #carryOut(effects: readonly ApplyEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "start-step") void this.#runStep(effect.change);
      else {
        this.#notStarted.push({ step: effect.change.id, reason: effect.reason });
        this.#deps.onEvent({ type: "step-skipped", step: effect.change.id, reason: effect.reason });
      }
    }
  }

  async #runStep(change: PlanChange): Promise<void> {
    const step = change.id;
    const startedMs = this.#deps.clock.monotonicMs();
    try {
      this.#deps.onEvent({ type: "step-started", step, change });
      await this.#lane(change.neuron).carryOut(change);
      const durationMs = this.#elapsedSince(startedMs);
      this.#applied.push({ step, duration_ms: durationMs });
      const predicted_secs = change.duration.secs;
      this.#deps.onEvent({ type: "step-done", step, duration_ms: durationMs, predicted_secs });
      this.#dispatch({ kind: "step-succeeded", step });
    } catch (thrown) {
      if (thrown instanceof StepWithdrawn) {
        this.#dispatch({ kind: "step-withdrawn", step, reason: thrown.message });
        return;
      }
      const { code, message, next } = toCortexError(thrown);
      const error = { code, message, next };
      this.#failed.push({ step, error });
      const duration_ms = this.#elapsedSince(startedMs);
      this.#deps.onEvent({ type: "step-failed", step, error, duration_ms });
      this.#dispatch({ kind: "step-failed", step });
    }
  }

  #elapsedSince(startMs: number): number {
    return Math.round(this.#deps.clock.monotonicMs() - startMs);
  }

  #lane(name: string): NeuronLane {
    const existing = this.#lanes.get(name);
    if (existing !== undefined) return existing;
    const neuron = this.#plan.neurons.find((candidate) => candidate.name === name);
    if (neuron === undefined || neuron.generation === null) {
      throw new CortexError("stale_generation", `the plan does not say what ${name} held when it was made`);
    }
    const lane = new NeuronLane(this.#laneOptions(neuron, neuron.generation));
    this.#lanes.set(name, lane);
    return lane;
  }

  #laneOptions(neuron: PlanNeuron, generation: number): ConstructorParameters<typeof NeuronLane>[0] {
    const { commit } = this.#plan.revision;
    const client = createNeuronClient(neuron, {
      clock: this.#deps.clock,
      token: this.#deps.neuronToken,
      callTimeoutMs: this.#deps.callTimeoutMs ?? CALL_TIMEOUT_MS,
    });
    this.#clients.push(client);
    return {
      client,
      planned: neuron,
      generation,
      changes: this.#plan.changes.filter((change) => change.neuron === neuron.name),
      origin: { kind: "revision", ref: commit ?? `sha256:${this.#plan.fleet_digest.slice(0, 12)}` },
      clock: this.#deps.clock,
      onEvent: this.#deps.onEvent,
      signal: this.#deps.signal,
      busyTimeoutMs: this.#deps.busyTimeoutMs,
      drainTimeoutSecs: this.#deps.drainTimeoutSecs,
    };
  }
}
