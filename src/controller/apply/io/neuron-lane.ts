import type { Clock } from "../../../core/clock.ts";
import { CortexError, errorKind, isErrorCode } from "../../../core/errors.ts";
import type { ApplyEvent } from "../../../protocol/apply-events.ts";
import type { ChangeResponse, Job, LoadOrigin } from "../../../protocol/neuron-api.ts";
import type { PlanAction, PlanChange, PlanNeuron } from "../../../protocol/plan-document.ts";
import { finishedModels, movedFacts, movedMeanwhile } from "../moved-facts.ts";
import { factsDigest, neuronFacts, type NeuronFacts } from "../../observe/neuron-facts.ts";
import type { NeuronClient } from "../../../protocol/io/neuron-client.ts";

export interface NeuronLaneOptions {
  readonly client: NeuronClient;
  /** The neuron as the plan saw it. */
  readonly planned: PlanNeuron;
  readonly generation: number;
  /** What the plan does on this neuron. */
  readonly changes: readonly PlanChange[];
  readonly origin: LoadOrigin;
  readonly clock: Clock;
  readonly onEvent: (event: ApplyEvent) => void;
  readonly signal?: AbortSignal | undefined;
  readonly busyTimeoutMs?: number | undefined;
  readonly drainTimeoutSecs?: number | undefined;
}

/** The apply was stopped before the neuron took the step: nothing happened. */
export class StepWithdrawn extends Error {
  override readonly name = "StepWithdrawn";
}

const BUSY_TIMEOUT_MS = 120_000;
const FIRST_BUSY_WAIT_MS = 500;
const LONGEST_BUSY_WAIT_MS = 10_000;
const POLL_MS = 250;
/** A neuron that falls silent in the middle of a job is given this long to come back. */
const SILENCE_TIMEOUT_MS = 30_000;
const DRAIN_TIMEOUT_SECS = 30;

/** The changes of one neuron, one after another, each on condition of the generation that the last one left. */
export class NeuronLane {
  readonly #options: NeuronLaneOptions;
  /** What the next change is sent on condition of; undefined after a change of this apply. */
  #generation: number | undefined;
  #admitted = false;
  #changed = false;
  #finished: ReadonlySet<string> = new Set();

  constructor(options: NeuronLaneOptions) {
    this.#options = options;
    this.#generation = options.generation;
  }

  /** Resolves when the neuron is as the change wants it; rejects with a CortexError, or StepWithdrawn. */
  async carryOut(change: PlanChange): Promise<void> {
    await this.#admit();
    // An earlier run of this plan did it: done again, a replace would take down what serves.
    if (this.#finished.has(change.model_id)) return;
    if (this.#generation === undefined) await this.#lookAgain();
    for (const [position, action] of change.actions.entries()) {
      try {
        await this.#act(change, action, position > 0);
      } catch (thrown) {
        throw position > 0 && thrown instanceof CortexError ? halfDone(change, thrown) : thrown;
      }
    }
  }

  /**
   * Before the first change: the neuron must still be as the plan saw it, or as an earlier run of this plan left it.
   * Throws `stale_generation`, naming what moved.
   */
  async #admit(): Promise<void> {
    if (this.#admitted) return;
    const { planned, changes } = this.#options;
    const now = await this.#look();
    if (factsDigest(now) !== planned.observation_digest) {
      const facts = movedFacts(planned, now, changes);
      if (facts.length > 0) throw this.#staleness(facts);
    }
    this.#generation = now.generation;
    this.#finished = finishedModels(planned, now, changes);
    this.#admitted = true;
  }

  /** After a change of its own: what somebody else did meanwhile to what is changed next must not be undone. */
  async #lookAgain(): Promise<void> {
    const { planned, changes } = this.#options;
    const now = await this.#look();
    const facts = movedMeanwhile(planned, now, changes);
    if (facts.length > 0) throw this.#staleness(facts);
    this.#generation = now.generation;
  }

  async #look(): Promise<NeuronFacts> {
    const { client } = this.#options;
    const [discovery, health, { generation, models }] = await Promise.all([
      client.discovery(),
      client.health(),
      client.models(),
    ]);
    return neuronFacts({ discovery, health, generation, models });
  }

  async #act(change: PlanChange, action: PlanAction, secondHalf: boolean): Promise<void> {
    const answer = await this.#ask(change, action, secondHalf);
    if (answer === "nothing-to-do") return;
    if (answer.job !== null) await this.#follow(change.id, answer.job);
    this.#changed = true;
    this.#generation = undefined;
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
        const canWait = await this.#asksAgain(thrown, secondHalf);
        if (!canWait || clock.monotonicMs() + pauseMs > deadlineMs) throw thrown;
        this.#options.onEvent({ type: "step-progress", step: change.id, state: "busy", fraction: null });
        await this.#pause(pauseMs, secondHalf ? undefined : this.#options.signal);
      }
    }
  }

  /** Whether the refusal may pass; throws, naming what moved, when the neuron is no longer as the plan saw it. */
  async #asksAgain(refusal: CortexError, secondHalf: boolean): Promise<boolean> {
    if (refusal.code === "stale_generation") {
      if (!secondHalf) throw await this.#stale(refusal);
      this.#generation = undefined;
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
  async #pause(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#options.clock.sleep(durationMs, signal);
    } catch (thrown) {
      if (signal?.aborted === true)
        throw new StepWithdrawn("the apply was stopped while the neuron was busy");
      throw thrown;
    }
  }

  async #follow(step: string, accepted: Job): Promise<void> {
    let reported = "";
    for (let job = accepted; job.state !== "done"; job = await this.#nextReport(job.id)) {
      if (job.state === "failed") throw jobFailure(job);
      const news = `${job.state} ${job.progress ?? ""}`;
      if (news !== reported) {
        this.#options.onEvent({ type: "step-progress", step, state: job.state, fraction: job.progress });
      }
      reported = news;
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

  /** A refused change names what moved, so that nobody has to go and look. */
  async #stale(refusal: CortexError): Promise<CortexError> {
    const { planned, changes } = this.#options;
    try {
      const now = await this.#look();
      const facts = movedFacts(planned, now, changes);
      const generations = `its generation went from ${this.#generation ?? "unknown"} to ${now.generation}`;
      return this.#staleness(facts.length > 0 ? facts : [generations], refusal);
    } catch {
      return refusal;
    }
  }

  #staleness(facts: readonly string[], cause?: CortexError): CortexError {
    const { name } = this.#options.planned;
    const when = this.#changed ? "while it was being changed" : "since the plan was made";
    return new CortexError("stale_generation", `${name} changed ${when}: ${facts.join(", ")}`, {
      details: { neuron: name, facts },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

function jobFailure(job: Job): CortexError {
  const { error } = job;
  const code = isErrorCode(error?.code) ? error.code : job.kind === "load" ? "load_failed" : "internal_error";
  const message = error?.message ?? `the ${job.kind} of ${job.model_id} failed without a reason`;
  return new CortexError(code, message, error === null ? {} : { next: error.next });
}

/** A replace that lost its second half leaves the model down, and says so. */
function halfDone(change: PlanChange, failure: CortexError): CortexError {
  const message = `the old copy is unloaded, and the new one is not loaded: ${failure.message}`;
  return new CortexError(failure.code, message, {
    details: { ...failure.details, model_id: change.model_id, neuron: change.neuron },
    next: failure.next,
    cause: failure,
  });
}
