import { rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { toCortexError } from "../../core/errors.ts";
import type { Job } from "../../protocol/neuron-api.ts";
import type { WorkerIdentity } from "../../protocol/worker-messages.ts";
import { adoptWorker, askIdentity, type AdoptionDeps } from "../launch/io/adopted-worker.ts";
import { endOrphanEngine } from "../launch/io/orphan-engine.ts";
import { removeTraces } from "../launch/io/worker-launcher.ts";
import { whyNotAdopted, type AssignedModel, type RestoredModel } from "../residency/assignment.ts";
import type { ModelWorker } from "../residency/io/model-worker.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";
import { jobHasEnded } from "../residency/job-history.ts";
import { awaitsRestart } from "../residency/restarts.ts";

export interface RestoreDeps extends AdoptionDeps {
  readonly loop: ResidencyLoop;
}

/** Some 20 minutes in all; then it stays away until somebody asks for it. */
const RETRY_DELAYS_MS = [10_000, 30_000, 60_000, 120_000, 300_000, 600_000];

/** What the neuron before this one held, on its way back. */
export class Restoration {
  readonly #deps: RestoreDeps;
  readonly #toLoad: AssignedModel[] = [];
  readonly #ended = new AbortController();
  /** By the job that loads it. */
  readonly #loading = new Map<string, AssignedModel>();
  readonly restored: RestoredModel[] = [];

  constructor(deps: RestoreDeps) {
    this.#deps = deps;
    deps.loop.onChange(() => this.#keepFailed());
  }

  /** Takes over the workers that live on: done before any change is taken, so that nobody loads beside them. */
  async adopt(assigned: readonly AssignedModel[]): Promise<void> {
    const identities = await Promise.all(
      assigned.map(async ({ worker }) =>
        worker === null ? null : await askIdentity(worker.socket_path, this.#deps.clock),
      ),
    );
    await Promise.all(
      assigned.map(async (model, at) => {
        const identity = identities[at] ?? null;
        if (identity === null) await this.#endEngineOf(model);
        if (model.wanted) this.#adoptOne(model, identity);
        else await this.#endOne(model, identity);
      }),
    );
  }

  /** Loads the others, oldest first; one that fails holds up nobody, and is tried again. */
  async loadOthers(): Promise<void> {
    for (const model of this.#toLoad) {
      const first = await this.#load(model);
      const at = this.restored.push(first) - 1;
      void this.#seeThrough(model, at).catch((thrown: unknown) => {
        if (!this.#ended.signal.aborted) this.#deps.logger.error({ err: thrown }, "restoring went wrong");
      });
    }
  }

  /** Tries no more: the neuron ends. */
  close(): void {
    this.#ended.abort();
  }

  async #load(model: AssignedModel): Promise<RestoredModel> {
    const { spec, origin } = model;
    const { loop, logger } = this.#deps;
    const modelId = spec.model_id;
    try {
      const answer = await loop.load({ ...spec, origin }, { ifMatch: null, epoch: null });
      if (answer.kind === "refused") throw answer.failure;
      if (answer.kind !== "job") return { modelId, kind: "adopted" };
      this.#loading.set(answer.jobId, model);
      this.#keepFailed();
      return { modelId, kind: "loads", jobId: answer.jobId };
    } catch (thrown) {
      this.#await(model);
      const { message } = toCortexError(thrown);
      logger.warn({ model: modelId, reason: message }, "model not restored");
      return { modelId, kind: "refused", reason: message };
    }
  }

  /** In the turn in which its load fails: what is on disk must at no time be without a model that is to come back. */
  #keepFailed(): void {
    const { state } = this.#deps.loop;
    for (const [jobId, model] of this.#loading) {
      const job = state.jobs.get(jobId);
      if (job !== undefined && !jobHasEnded(job)) continue;
      this.#loading.delete(jobId);
      if (hasFailed(job)) this.#await(model);
    }
  }

  #await({ instance, spec, origin, requested_at_ms: requestedAtMs }: AssignedModel): void {
    const { loop, clock } = this.#deps;
    const awaited = { instance, spec, origin, requestedAtMs };
    loop.dispatch({ kind: "return-awaited", awaited, atMs: clock.nowMs() });
  }

  /** What made it fail may pass: a card that wakes up late, a share that is not mounted yet, a hub that is away. */
  async #seeThrough(model: AssignedModel, at: number): Promise<void> {
    const { loop, clock } = this.#deps;
    const { signal } = this.#ended;
    const modelId = model.spec.model_id;
    for (const delayMs of RETRY_DELAYS_MS) {
      if (!(await this.#hasFailed(this.restored[at]))) return;
      await clock.sleep(delayMs, signal);
      if (!awaitsRestart(loop.state.restarts, modelId, model.instance)) {
        // Somebody else has seen to it meanwhile.
        this.restored[at] = { modelId, kind: loop.state.models.has(modelId) ? "adopted" : "dismissed" };
        return;
      }
      this.restored[at] = await this.#load(model);
    }
    if (await this.#hasFailed(this.restored[at])) loop.dispatch({ kind: "return-given-up", modelId });
  }

  async #hasFailed(restored: RestoredModel | undefined): Promise<boolean> {
    if (restored?.kind !== "loads") return restored?.kind === "refused";
    return hasFailed(await this.#deps.loop.jobEnd(restored.jobId, this.#ended.signal));
  }

  #adoptOne(model: AssignedModel, identity: WorkerIdentity | null): void {
    const { logger, loop, clock } = this.#deps;
    const { spec, instance, worker } = model;
    const reason = whyNotAdopted(model, identity);
    if (reason !== null || worker === null || identity === null) {
      logger.info({ model: spec.model_id, reason }, "model is loaded again");
      this.#toLoad.push(model);
      return;
    }
    const adopted = this.#take(model, worker);
    loop.adopt(
      {
        instance,
        spec,
        origin: model.origin,
        pid: worker.pid,
        facts: identity.facts,
        held: worker.devices,
        requestedAtMs: model.requested_at_ms,
        loadedAtMs: worker.loaded_at_ms,
        atMs: clock.nowMs(),
      },
      adopted,
    );
    if (loop.state.models.get(spec.model_id)?.instance === instance) {
      logger.info({ model: spec.model_id, pid: worker.pid }, "model is taken over as it was left");
      this.restored.push({ modelId: spec.model_id, kind: "adopted" });
    } else {
      logger.warn({ model: spec.model_id, pid: worker.pid }, "there is no room for a model that was left");
      this.#toLoad.push(model);
    }
  }

  /** It was told to leave before: nothing is promised of its memory until it is gone. */
  async #endOne(model: AssignedModel, identity: WorkerIdentity | null): Promise<void> {
    const { worker } = model;
    if (worker === null || whyNotAdopted(model, identity) !== null) return;
    this.#deps.logger.info(
      { model: model.spec.model_id, pid: worker.pid },
      "a model on its way out is ended",
    );
    await this.#take(model, worker).stop();
  }

  /** The worker was killed meanwhile, and an engine that it had started lives on: its memory is needed, and nobody asks it any more. */
  async #endEngineOf({ spec, instance, worker }: AssignedModel): Promise<void> {
    if (worker === null || spec.harness !== "openai") return;
    const { clock, logger } = this.#deps;
    if (await endOrphanEngine({ pid: worker.pid, instance }, clock)) {
      logger.warn({ model: spec.model_id }, "an engine that was left without its worker is ended");
    }
  }

  #take({ spec }: AssignedModel, worker: NonNullable<AssignedModel["worker"]>): ModelWorker {
    const { logger, clock, hibernation } = this.#deps;
    const address = { socketPath: worker.socket_path, logPath: worker.log_path };
    const log = logger.child({ model: spec.model_id });
    const taken = adoptWorker(
      { pid: worker.pid, address, isExternal: spec.harness === "openai" },
      { clock, logger: log, hibernation },
    );
    void cleanUpAfter(taken);
    return taken;
  }
}

/** Who takes a load back does not want it. */
const hasFailed = (job: Job | undefined): boolean =>
  job !== undefined && job.error !== null && job.error.code !== "job_cancelled";

/** The directory was made by the neuron before: it goes with the last worker in it. */
async function cleanUpAfter(worker: ModelWorker): Promise<void> {
  await worker.exited;
  await removeTraces(worker.address);
  await rmdir(dirname(worker.address.socketPath)).catch(() => undefined);
}
