import type { NeuronAccess } from "../../../protocol/io/neuron-client.ts";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { AppliedStep, ApplyEvent, ApplyResult, StepError } from "../../../protocol/apply-events.ts";
import type { PlanChange, PlanDocument, PlanNeuron } from "../../../protocol/plan-document.ts";
import {
  applyIsOver,
  beginApply,
  reachOf,
  stepApply,
  type ApplyEffect,
  type ApplyState,
} from "../apply-steps.ts";
import type { ApplyLease } from "../apply-lease.ts";
import { checkBeforeApply, type UnloadConsent } from "../check-before-apply.ts";
import {
  createNeuronClient,
  type NeuronClient,
  type NeuronClientOptions,
} from "../../../protocol/io/neuron-client.ts";
import type { CalledNeuron } from "../../../protocol/neuron-failure.ts";
import { NeuronLane, StepWithdrawn } from "./neuron-lane.ts";

export interface ApplyDeps extends UnloadConsent {
  readonly clock: Clock;
  readonly onEvent: (event: ApplyEvent) => void;
  readonly neuronAccess?: NeuronAccess | undefined;
  /** Aborted: what runs is finished, nothing more is started. */
  readonly signal?: AbortSignal | undefined;
  /** The right to change the fleet; without one nothing is fenced off. */
  readonly lease?: ApplyLease | undefined;
  /** Somebody watches: memory of devices is told too while a neuron is changed. */
  readonly watchDevices?: boolean | undefined;
  /** Most neurons changed at once; 10 by default. */
  readonly parallelism?: number | undefined;
  readonly allowProtected?: boolean | undefined;
  /** How long a busy neuron is asked again; 2 minutes by default. */
  readonly busyTimeoutMs?: number | undefined;
  /** How long in-flight requests may take to end before an unload fails; the neuron's own default otherwise. */
  readonly drainTimeoutSecs?: number | undefined;
  readonly callTimeoutMs?: number | undefined;
  /** How a neuron is called; over HTTP by default. */
  readonly connect?: ((neuron: CalledNeuron, options: NeuronClientOptions) => NeuronClient) | undefined;
  /** How long all of it may take; for ever by default. */
  readonly timeoutMs?: number | undefined;
  /** How long a step may go on without a sign of life; 10 minutes by default. */
  readonly stepTimeoutMs?: number | undefined;
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
  readonly #applied: AppliedStep[] = [];
  readonly #failed: { step: string; error: StepError }[] = [];
  readonly #notStarted: { step: string; reason: string }[] = [];
  readonly #over = Promise.withResolvers<void>();
  readonly #startedMs: number;
  #state: ApplyState;

  constructor(plan: PlanDocument, deps: ApplyDeps, state: ApplyState) {
    this.#plan = plan;
    this.#deps = deps;
    this.#state = state;
    this.#startedMs = deps.clock.monotonicMs();
  }

  async run(first: readonly ApplyEffect[]): Promise<ApplyResult> {
    this.#carryOut(first);
    const { signal, lease } = this.#deps;
    const stop = (): void => this.#dispatch({ kind: "stop-requested" });
    const end = (): void => this.#dispatch({ kind: "lease-lost" });
    if (lease?.lost.aborted === true) end();
    this.#dispatch({ kind: signal?.aborted === true ? "stop-requested" : "apply-begun" });
    signal?.addEventListener("abort", stop);
    lease?.lost.addEventListener("abort", end);
    await this.#over.promise;
    signal?.removeEventListener("abort", stop);
    lease?.lost.removeEventListener("abort", end);
    await Promise.all(this.#clients.map((client) => client.destroy()));
    return {
      applied: this.#applied,
      failed: this.#failed,
      not_started: this.#notStarted,
      interrupted: this.#state.stopping === "by-request",
      timed_out: this.#state.stopping === "out-of-time" && this.#applied.length < this.#plan.changes.length,
      superseded: this.#state.stopping === "superseded",
      duration_ms: this.#elapsedSince(this.#startedMs),
    };
  }

  #dispatch(event: Parameters<typeof stepApply>[1]): void {
    const noted = this.#isOutOfTime() ? stepApply(this.#state, { kind: "time-ended" }) : undefined;
    const { state, effects } = stepApply(noted?.state ?? this.#state, event);
    this.#state = state;
    this.#carryOut([...(noted?.effects ?? []), ...effects]);
    if (applyIsOver(this.#state)) this.#over.resolve();
  }

  /** Looked at between steps and by the steps themselves: nothing waits longer than a call to a neuron takes. */
  #isOutOfTime(): boolean {
    const { timeoutMs } = this.#deps;
    return timeoutMs !== undefined && this.#elapsedSince(this.#startedMs) >= timeoutMs;
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
      const actual = await this.#lane(change.neuron).carryOut(change);
      const done = { step, duration_ms: this.#elapsedSince(startedMs), actual };
      this.#applied.push(done);
      this.#deps.onEvent({ type: "step-done", ...done, predicted_secs: change.duration.secs });
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
      this.#dispatch({ kind: "step-failed", step, reach: reachOf(code) });
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
    const lane = new NeuronLane(this.#laneOptions(neuron));
    this.#lanes.set(name, lane);
    return lane;
  }

  #laneOptions(neuron: PlanNeuron): ConstructorParameters<typeof NeuronLane>[0] {
    const { commit, dirty, repository } = this.#plan.revision;
    const client = (this.#deps.connect ?? createNeuronClient)(neuron, {
      clock: this.#deps.clock,
      access: this.#deps.neuronAccess,
      callTimeoutMs: this.#deps.callTimeoutMs ?? CALL_TIMEOUT_MS,
    });
    this.#clients.push(client);
    return {
      client,
      planned: neuron,
      changes: this.#plan.changes.filter((change) => change.neuron === neuron.name),
      origin: {
        kind: "revision",
        ref: commit ?? `sha256:${this.#plan.fleet_digest.slice(0, 12)}`,
        fleet: this.#plan.fleet,
        ...(dirty ? { uncommitted: true } : {}),
        ...(repository === undefined ? {} : { repository }),
      },
      probes: new Map(
        this.#plan.declared.flatMap(({ model_id, probe }) =>
          probe === undefined ? [] : [[model_id, probe]],
        ),
      ),
      owner: { name: this.#plan.fleet, repository },
      ownFleets: [this.#plan.fleet, ...this.#plan.takes_over],
      clock: this.#deps.clock,
      onEvent: this.#deps.onEvent,
      lease: this.#deps.lease,
      watchDevices: this.#deps.watchDevices ?? false,
      signal: this.#deps.signal,
      busyTimeoutMs: this.#deps.busyTimeoutMs,
      drainTimeoutSecs: this.#deps.drainTimeoutSecs,
      stepTimeoutMs: this.#deps.stepTimeoutMs,
      isOutOfTime: () => this.#isOutOfTime(),
    };
  }
}
