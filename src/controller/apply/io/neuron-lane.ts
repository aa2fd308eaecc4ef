import { CortexError, errorKind, toCortexError } from "../../../core/errors.ts";
import type { StepActual } from "../../../protocol/apply-events.ts";
import type { ChangeResponse, LoadOrigin, ResidentModel } from "../../../protocol/neuron-api.ts";
import type { PlanAction, PlanChange } from "../../../protocol/plan-document.ts";
import { finishedModels, movedFacts } from "../moved-facts.ts";
import { requireHeld, type ApplyLease } from "../apply-lease.ts";
import { halfDone, isTooLarge, outgrown, unfitCopy } from "../job-reports.ts";
import type { NeuronNow } from "../crowded-rows.ts";
import { residentShares } from "../../observe/device-memory.ts";
import { withOwners } from "../../observe/foreign-copies.ts";
import type { FleetOwner } from "../../../fleet/fleet-owner.ts";
import { neuronFacts } from "../../observe/neuron-facts.ts";
import { lookAtNeuron } from "../../../protocol/io/look-at-neuron.ts";
import type { ModelProbe } from "../../../fleet/schema/probe-table.ts";
import { askProbe } from "./ask-probe.ts";
import { followJob, type FollowOptions } from "./follow-job.ts";

/** `planned` is the neuron as the plan saw it. */
export interface NeuronLaneOptions extends FollowOptions {
  /** What the plan does on this neuron. */
  readonly changes: readonly PlanChange[];
  readonly owner: FleetOwner;
  readonly ownFleets: readonly string[];
  readonly origin: LoadOrigin;
  /** What fresh copies are asked, by model. */
  readonly probes: ReadonlyMap<string, ModelProbe>;
  readonly signal?: AbortSignal | undefined;
  /** The right to change the neuron; without one nothing is fenced off. */
  readonly lease?: ApplyLease | undefined;
  readonly busyTimeoutMs?: number | undefined;
  readonly drainTimeoutSecs?: number | undefined;
}

/** What was seen of the neuron, and when. */
interface LaneLook {
  readonly now: NeuronNow;
  readonly models: readonly ResidentModel[];
  readonly atMs: number;
}

const ALREADY_DONE: StepActual = { download_bytes: 0, vram_mb: null, was_done: true };

/** Copies on these devices that are on their way out. */
const leavingFrom = (now: NeuronNow | undefined, on: readonly number[]): string[] =>
  (now?.models ?? [])
    .filter(({ status, devices }) => status === "unloading" && devices.some((device) => on.includes(device)))
    .map(({ model_id }) => model_id);

/** The apply was stopped before the neuron took the step: nothing happened. */
export class StepWithdrawn extends Error {
  override readonly name = "StepWithdrawn";
}

const BUSY_TIMEOUT_MS = 120_000;
const FIRST_BUSY_WAIT_MS = 500;
const LONGEST_BUSY_WAIT_MS = 10_000;
const DRAIN_TIMEOUT_SECS = 30;
/** What was seen at the end of a step counts at the beginning of the next, if that follows at once. */
const FRESH_MS = 1000;

/** The changes of one neuron, one after another, each on condition of the generation that the last one left. */
export class NeuronLane {
  readonly #options: NeuronLaneOptions;
  /** What the next change is sent on condition of; undefined when somebody else changed the neuron. */
  #generation: number | undefined;
  #changed = false;
  /** As it was when the change under way was admitted. */
  #admitted: NeuronNow | undefined;
  /** The last look, as long as nothing was sent since. */
  #seen: LaneLook | undefined;
  /** Models on which an earlier run of this plan left nothing to do; undefined until the neuron was looked at. */
  #finished: ReadonlySet<string> | undefined;

  constructor(options: NeuronLaneOptions) {
    this.#options = options;
  }

  /** Resolves when the neuron is as the change wants it; rejects with a CortexError, or StepWithdrawn. */
  async carryOut(change: PlanChange): Promise<StepActual> {
    await this.#admit();
    // An earlier run of this plan did it: done again, a replace would take down what serves.
    if (this.#finished?.has(change.model_id) === true) return ALREADY_DONE;
    await this.#awaitLeaving(change);
    const jobs: number[] = [];
    for (const [position, action] of change.actions.entries()) {
      try {
        const fetchedBytes = await this.#act(change, action, position > 0);
        if (fetchedBytes !== undefined) jobs.push(fetchedBytes);
      } catch (thrown) {
        throw position > 0 && thrown instanceof CortexError ? halfDone(change, thrown) : thrown;
      }
    }
    await this.#probe(change);
    if (jobs.length === 0) return ALREADY_DONE;
    const download_bytes = jobs.reduce((sum, bytes) => sum + bytes, 0);
    return { download_bytes, vram_mb: await this.#heldBy(change.model_id), was_done: false };
  }

  /**
   * A copy that does not answer as its block declares is taken down again: what waits for it (the copy that it replaces) then
   * stays, and the next plan tries once more. Before that, requests may meet it: it is ready, as far as its neuron knows.
   */
  async #probe(change: PlanChange): Promise<void> {
    const { client, clock, probes, planned, onEvent } = this.#options;
    const probe = probes.get(change.model_id);
    if (probe === undefined || change.actions.at(-1) !== "load") return;
    onEvent({ type: "step-progress", step: change.id, state: "probing", fraction: null });
    const modelId = change.model_id;
    const { models } = await this.#look();
    const capabilities = models.find(({ id }) => id === modelId)?.capabilities ?? [];
    try {
      await askProbe({ client, clock, neuron: planned.name, modelId, capabilities, probe });
    } catch (thrown) {
      if (!(thrown instanceof CortexError)) throw thrown;
      throw unfitCopy(change, thrown, await this.#takeDown(change));
    }
  }

  /** Why it could not be taken down; undefined when it is gone. */
  async #takeDown(change: PlanChange): Promise<string | undefined> {
    try {
      this.#generation = undefined;
      await this.#act(change, "unload", true);
      return undefined;
    } catch (thrown) {
      return toCortexError(thrown).message;
    }
  }

  /** What the model holds now; null when the neuron does not say. The step is done whatever comes of the question. */
  async #heldBy(modelId: string): Promise<number | null> {
    try {
      this.#seen = await this.#look();
      const model = this.#seen.models.find(({ id }) => id === modelId);
      if (model === undefined) return 0;
      return model.vram_measured ? model.vram_used_mb : null;
    } catch (thrown) {
      if (thrown instanceof CortexError) return null;
      throw thrown;
    }
  }

  /**
   * Before each change: what the plan is about must still be as the plan saw it, or as this plan leaves it. Whatever else
   * happened there (a client had a model loaded) is nothing to refuse for. Throws `stale_generation`, naming what moved.
   */
  async #admit(): Promise<void> {
    const { planned, clock } = this.#options;
    const last = this.#seen;
    this.#seen = undefined;
    const isFresh = last !== undefined && clock.monotonicMs() - last.atMs <= FRESH_MS;
    const { now } = isFresh ? last : await this.#look();
    this.#admitted = now;
    const facts = movedFacts(planned, now, this.#options);
    if (facts.length > 0) throw this.#staleness(facts);
    this.#generation = now.generation;
    this.#finished ??= finishedModels(planned, now, this.#options);
  }

  /**
   * How a model is split over devices follows from what is free on them when it comes. The plan counts what leaves already as
   * gone, so a spread model waits for it; where that takes too long, the neuron decides.
   */
  async #awaitLeaving(change: PlanChange): Promise<void> {
    const { clock, busyTimeoutMs = BUSY_TIMEOUT_MS, onEvent } = this.#options;
    if (change.devices.length < 2 || !change.actions.includes("load")) return;
    const deadlineMs = clock.monotonicMs() + busyTimeoutMs;
    for (let waitMs = FIRST_BUSY_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_BUSY_WAIT_MS)) {
      const leaving = leavingFrom(this.#admitted, change.devices);
      if (leaving.length === 0 || clock.monotonicMs() + waitMs > deadlineMs) return;
      const reason = `${leaving.join(" and ")} must be gone first`;
      onEvent({ type: "step-progress", step: change.id, state: "busy", fraction: null, reason });
      await this.#pause(waitMs, false);
      await this.#admit();
    }
  }

  async #look(): Promise<LaneLook> {
    const { client, planned, owner, clock } = this.#options;
    const looked = await lookAtNeuron(client);
    const seen = { ...looked, models: withOwners(looked.models, owner) };
    const { name, endpoint } = planned;
    const shares = residentShares({ name, endpoint, reachable: true, ...seen });
    return { now: { ...neuronFacts(seen), shares }, models: seen.models, atMs: clock.monotonicMs() };
  }

  /** Resolves to the bytes that were fetched; undefined when there was nothing to do. */
  // oxlint-disable-next-line max-params -- whose, what, and how far
  async #act(change: PlanChange, action: PlanAction, secondHalf: boolean): Promise<number | undefined> {
    const answer = await this.#ask(change, action, secondHalf);
    if (answer === "nothing-to-do") return undefined;
    this.#changed = true;
    this.#generation = undefined;
    return answer.job === null ? undefined : followJob(change.id, answer.job, this.#options);
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
    const { client, origin, lease, drainTimeoutSecs = DRAIN_TIMEOUT_SECS } = this.#options;
    // Only the second half of a replace comes here without one; every change begins with a look.
    this.#generation ??= (await client.models()).generation;
    if (lease !== undefined) requireHeld(lease);
    const condition = {
      generation: this.#generation,
      ...(lease === undefined ? {} : { epoch: lease.epoch, fleet: this.#options.owner.name }),
    };
    if (action === "load" && change.spec !== null) {
      return client.load({ ...change.spec, origin }, condition);
    }
    const body = { model_id: change.model_id, drain_timeout_secs: drainTimeoutSecs, force: false };
    return client.unload(body, condition);
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

  #staleness(facts: readonly string[]): CortexError {
    const { name } = this.#options.planned;
    const when = this.#changed ? "while it was being changed" : "since the plan was made";
    return new CortexError("stale_generation", `${name} changed ${when}: ${facts.join(", ")}`, {
      details: { neuron: name, facts },
    });
  }
}
