import type { Clock } from "../../../core/clock.ts";
import { CortexError, errorKind } from "../../../core/errors.ts";
import type { ApplyEvent } from "../../../protocol/apply-events.ts";
import type { ChangeResponse, Job, LoadOrigin } from "../../../protocol/neuron-api.ts";
import type { PlanAction, PlanChange, PlanNeuron } from "../../../protocol/plan-document.ts";
import { finishedModels, movedFacts } from "../moved-facts.ts";
import {
  endlessJob,
  halfDone,
  isTooLarge,
  jobFailure,
  outgrown,
  progressOf,
  signOfLife,
} from "../job-reports.ts";
import type { NeuronNow } from "../crowded-rows.ts";
import { residentShares } from "../../observe/device-memory.ts";
import { neuronFacts } from "../../observe/neuron-facts.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";

export interface NeuronLaneOptions {
  readonly client: NeuronClient;
  /** The neuron as the plan saw it. */
  readonly planned: PlanNeuron;
  /** What the plan does on this neuron. */
  readonly changes: readonly PlanChange[];
  readonly ownFleets: readonly string[];
  readonly origin: LoadOrigin;
  readonly clock: Clock;
  readonly onEvent: (event: ApplyEvent) => void;
  readonly signal?: AbortSignal | undefined;
  readonly busyTimeoutMs?: number | undefined;
  readonly drainTimeoutSecs?: number | undefined;
  /** How long a job may go on without a sign of life. */
  readonly stepTimeoutMs?: number | undefined;
  /** The time of the whole apply is over. */
  readonly isOutOfTime: () => boolean;
}

/** The apply was stopped before the neuron took the step: nothing happened. */
export class StepWithdrawn extends Error {
  override readonly name = "StepWithdrawn";
}

const BUSY_TIMEOUT_MS = 120_000;
const FIRST_BUSY_WAIT_MS = 500;
const LONGEST_BUSY_WAIT_MS = 10_000;
const POLL_MS = 250;
/** Progress within a state is told no more often than this. */
const TELL_MS = 1000;
/** A neuron that falls silent in the middle of a job is given this long to come back. */
const SILENCE_TIMEOUT_MS = 30_000;
const DRAIN_TIMEOUT_SECS = 30;
/** Reading a model of hundreds of GiB from a slow disk says nothing for minutes. */
const STEP_TIMEOUT_MS = 10 * 60_000;

/** The changes of one neuron, one after another, each on condition of the generation that the last one left. */
export class NeuronLane {
  readonly #options: NeuronLaneOptions;
  /** What the next change is sent on condition of; undefined when somebody else changed the neuron. */
  #generation: number | undefined;
  #changed = false;
  /** Models on which an earlier run of this plan left nothing to do; undefined until the neuron was looked at. */
  #finished: ReadonlySet<string> | undefined;

  constructor(options: NeuronLaneOptions) {
    this.#options = options;
  }

  /** Resolves when the neuron is as the change wants it; rejects with a CortexError, or StepWithdrawn. */
  async carryOut(change: PlanChange): Promise<void> {
    await this.#admit();
    // An earlier run of this plan did it: done again, a replace would take down what serves.
    if (this.#finished?.has(change.model_id) === true) return;
    for (const [position, action] of change.actions.entries()) {
      try {
        await this.#act(change, action, position > 0);
      } catch (thrown) {
        throw position > 0 && thrown instanceof CortexError ? halfDone(change, thrown) : thrown;
      }
    }
  }

  /**
   * Before each change: what the plan is about must still be as the plan saw it, or as this plan leaves it. Whatever else
   * happened there (a client had a model loaded) is nothing to refuse for. Throws `stale_generation`, naming what moved.
   */
  async #admit(): Promise<void> {
    const { planned } = this.#options;
    const now = await this.#look();
    const facts = movedFacts(planned, now, this.#options);
    if (facts.length > 0) throw this.#staleness(facts);
    this.#generation = now.generation;
    this.#finished ??= finishedModels(planned, now, this.#options);
  }

  async #look(): Promise<NeuronNow> {
    const { client, planned } = this.#options;
    const [discovery, health, { generation, models }] = await Promise.all([
      client.discovery(),
      client.health(),
      client.models(),
    ]);
    const seen = { discovery, health, generation, models };
    const { name, endpoint } = planned;
    return { ...neuronFacts(seen), shares: residentShares({ name, endpoint, reachable: true, ...seen }) };
  }

  async #act(change: PlanChange, action: PlanAction, secondHalf: boolean): Promise<void> {
    const answer = await this.#ask(change, action, secondHalf);
    if (answer === "nothing-to-do") return;
    this.#changed = true;
    this.#generation = undefined;
    if (answer.job !== null) await this.#follow(change.id, answer.job);
  }

  /**
   * Sends the change until the neuron takes it or refuses it for good; a busy neuron is asked again, bounded. The second
   * half of a replace is not given up because something else moved: with the old copy gone, loading the new one is right.
   */
  async #ask(
    change: PlanChange,
    action: PlanAction,
    secondHalf: boolean,
  ): Promise<ChangeResponse | "nothing-to-do"> {
    const { clock, busyTimeoutMs = BUSY_TIMEOUT_MS } = this.#options;
    const deadlineMs = clock.monotonicMs() + busyTimeoutMs;
    for (let waitMs = FIRST_BUSY_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_BUSY_WAIT_MS)) {
      try {
        return await this.#send(change, action);
      } catch (thrown) {
        if (!(thrown instanceof CortexError)) throw thrown;
        if (action === "unload" && thrown.code === "model_not_found") return "nothing-to-do";
        const pauseMs = Math.max(waitMs, (thrown.retryAfterSecs ?? 0) * 1000);
        if (isTooLarge(thrown, change)) throw outgrown(thrown, change);
        const canWait = await this.#asksAgain(thrown, secondHalf);
        if (!canWait || clock.monotonicMs() + pauseMs > deadlineMs) throw thrown;
        const busy = { type: "step-progress", state: "busy", fraction: null } as const;
        this.#options.onEvent({ ...busy, step: change.id, reason: thrown.message });
        await this.#pause(pauseMs, secondHalf);
      }
    }
  }

  /**
   * Whether the refusal may pass. The neuron may have changed between the look and the change: it is looked at again, and
   * asked again unless the plan is about what changed.
   */
  async #asksAgain(refusal: CortexError, secondHalf: boolean): Promise<boolean> {
    if (refusal.code === "stale_generation") {
      if (secondHalf) this.#generation = undefined;
      else await this.#admit();
      return true;
    }
    return errorKind(refusal.code).retryable && refusal.code !== "upstream_connection_error";
  }

  async #send(change: PlanChange, action: PlanAction): Promise<ChangeResponse> {
    const { client, origin, drainTimeoutSecs = DRAIN_TIMEOUT_SECS } = this.#options;
    // Only the second half of a replace comes here without one; every change begins with a look.
    this.#generation ??= (await client.models()).generation;
    if (action === "load" && change.spec !== null) {
      return client.load({ ...change.spec, origin }, { generation: this.#generation });
    }
    const body = { model_id: change.model_id, drain_timeout_secs: drainTimeoutSecs, force: false };
    return client.unload(body, { generation: this.#generation });
  }

  /** A pause ends early when the apply is stopped and nothing was changed yet; the step then never happened. */
  async #pause(durationMs: number, secondHalf: boolean): Promise<void> {
    const { clock, signal, isOutOfTime } = this.#options;
    const stopped = new StepWithdrawn("the apply was stopped while the neuron was busy");
    try {
      await clock.sleep(durationMs, secondHalf ? undefined : signal);
    } catch (thrown) {
      throw signal?.aborted === true ? stopped : thrown;
    }
    if (isOutOfTime() && !secondHalf)
      throw new StepWithdrawn("the time for the apply was over (--timeout) while the neuron was busy");
  }

  /** Tells how far the job is until it has ended; one that shows no sign of life for long is given up. */
  async #follow(step: string, accepted: Job): Promise<void> {
    const { clock, planned, onEvent, stepTimeoutMs = STEP_TIMEOUT_MS, isOutOfTime } = this.#options;
    let seen = "";
    let seenMs = clock.monotonicMs();
    let told = { state: "", atMs: 0 };
    for (let job = accepted; job.state !== "done"; job = await this.#nextReport(job.id)) {
      if (job.state === "failed") throw jobFailure(job);
      const life = signOfLife(job);
      const nowMs = clock.monotonicMs();
      if (life !== seen) {
        seen = life;
        seenMs = nowMs;
        if (told.state !== job.state || nowMs - told.atMs >= TELL_MS) {
          onEvent(progressOf(step, job));
          told = { state: job.state, atMs: nowMs };
        }
      } else if (nowMs - seenMs >= stepTimeoutMs) {
        throw endlessJob(job, planned, { silentMs: nowMs - seenMs });
      }
      if (isOutOfTime()) throw endlessJob(job, planned, "out-of-time");
    }
  }

  /** The job as it is a moment later; a neuron that falls silent is asked again for a while. */
  async #nextReport(id: string): Promise<Job> {
    const { client, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + SILENCE_TIMEOUT_MS;
    for (;;) {
      await clock.sleep(POLL_MS);
      try {
        return await client.job(id);
      } catch (thrown) {
        const isSilent = thrown instanceof CortexError && errorKind(thrown.code).retryable;
        if (!isSilent || clock.monotonicMs() > deadlineMs) throw thrown;
      }
    }
  }

  #staleness(facts: readonly string[]): CortexError {
    const { name } = this.#options.planned;
    const when = this.#changed ? "while it was being changed" : "since the plan was made";
    return new CortexError("stale_generation", `${name} changed ${when}: ${facts.join(", ")}`, {
      details: { neuron: name, facts },
    });
  }
}
