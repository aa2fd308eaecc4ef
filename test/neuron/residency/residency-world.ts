import fc from "fast-check";
import { CortexError } from "../../../src/core/errors.ts";
import { admit } from "../../../src/neuron/residency/admission.ts";
import {
  assignmentOf,
  readAssignment,
  writeAssignment,
  type AssignedModel,
} from "../../../src/neuron/residency/assignment.ts";
import type { LoadRequest } from "../../../src/protocol/neuron-api.ts";
import { findInstance, type Residency } from "../../../src/neuron/residency/residency-state.ts";
import { DrivenResidency } from "../../support/neuron/residency-builders.ts";

export const TOTALS_MIB = [1000, 600, 200];
const MODELS = ["a", "b", "c", "d"];

const move = fc.record({
  what: fc.constantFrom(
    "load",
    "load",
    "swap",
    "swap",
    "swap by force",
    // The whole way at once: what comes of models that serve is rare otherwise.
    "resident",
    "resident",
    "squeeze",
    "squeeze",
    "verified",
    "verified",
    "refused",
    "spawned",
    "progress",
    "ready",
    "ready",
    "arrived",
    "kept",
    "failed",
    "exited",
    "exited",
    "unload",
    "recycle",
    "recycle",
    "returned",
    "force",
    "cancel",
    "drained",
    "request",
    "request",
    "ended",
    "drain",
    "resume",
    "device lost",
    "restart",
  ),
  model: fc.nat(MODELS.length - 1),
  mb: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 1200 })),
  minDevices: fc.integer({ min: 1, max: 4 }),
  parallel: fc.integer({ min: 1, max: 3 }),
  evict: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 3 }),
});
type Move = typeof move extends fc.Arbitrary<infer Value> ? Value : never;

/** The same, mostly of models that serve and give way. */
export const swapMove = fc.record({
  what: fc.constantFrom<Move["what"][]>(
    "resident",
    "resident",
    "squeeze",
    "squeeze",
    "swap",
    "verified",
    "ready",
    "arrived",
    "kept",
    "request",
    "request",
    "request",
    "ended",
    "drained",
    "exited",
    "exited",
    "cancel",
    "unload",
    "recycle",
    "returned",
  ),
  model: fc.nat(MODELS.length - 1),
  mb: fc.integer({ min: 0, max: 100 }),
  minDevices: fc.constant(1),
  parallel: fc.integer({ min: 1, max: 3 }),
  evict: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 3 }),
});

export const anyMove = fc.oneof(move, swapMove);

const ADDRESS = { socketPath: "s", logPath: "l" };

/** A neuron whose every event may come at every time; its effects are carried out at once. */
export class World {
  neuron = new DrivenResidency(...TOTALS_MIB);
  /** Processes that were started and have not exited. */
  readonly running = new Set<string>();
  readonly stopped = new Set<string>();
  /** Loads whose worker is on disk. */
  readonly kept = new Set<string>();
  /** Requests that were in flight when their process was told to go, without force or a crash before. */
  cut = 0;
  /** Of the last restart: what was wanted back, what of it served on, and what the next neuron holds. */
  recovered: Readonly<Record<"wanted" | "left" | "after", readonly AssignedModel[]>> = {
    wanted: [],
    left: [],
    after: [],
  };
  #forced = new Set<string>();
  readonly #due: { readonly request: LoadRequest; readonly instance: string }[] = [];
  #jobs = 0;

  play(step: Move): void {
    const modelId = MODELS[step.model] ?? "a";
    const resident = this.neuron.state.models.get(modelId);
    const instance = resident?.instance ?? "gone";
    this.#act(step, { modelId, instance });
    this.#carryOut();
  }

  #act(step: Move, { modelId, instance }: { readonly modelId: string; readonly instance: string }): void {
    const { neuron } = this;
    const failure = new CortexError("load_failed", "no");
    this.#jobs += 1;
    const jobId = `j${this.#jobs}`;
    const spec = { model_id: modelId, parallel: step.parallel, min_devices: step.minDevices };
    const acts: Record<Move["what"], () => void> = {
      load: () => neuron.load(jobId, spec),
      swap: () => neuron.swap(jobId, spec, { evict: step.evict }),
      "swap by force": () => {
        for (const id of step.evict) this.#forced.add(neuron.state.models.get(id)?.instance ?? "gone");
        neuron.swap(jobId, spec, { evict: step.evict, force: true });
      },
      resident: () => {
        neuron.load(jobId, spec);
        this.#carryOut();
        neuron.verified(jobId, step.mb);
        this.#carryOut();
        if (this.running.has(jobId)) neuron.ready(jobId, step.mb, step.parallel);
      },
      squeeze: () => {
        neuron.swap(jobId, spec, { evict: MODELS.filter((id) => id !== modelId) });
        neuron.verified(jobId, 900 + step.mb);
      },
      verified: () => neuron.verified(instance, step.mb),
      refused: () => neuron.on({ kind: "source-refused", instance, failure, atMs: 1 }),
      spawned: () => neuron.on({ kind: "worker-spawned", instance, pid: 1 }),
      progress: () => neuron.on({ kind: "load-progressed", instance, fraction: 0.5 }),
      ready: () => this.running.has(instance) && neuron.ready(instance, step.mb, step.parallel),
      arrived: () => this.running.has(instance) && neuron.arrived(instance, step.mb, step.parallel),
      kept: () => neuron.kept(instance),
      failed: () => neuron.on({ kind: "load-failed", instance, failure, atMs: 1 }),
      exited: () => this.exit(instance),
      unload: () => neuron.unload(jobId, modelId),
      recycle: () => neuron.unload(jobId, modelId, { reload: true }),
      returned: () => this.#comeBack(jobId),
      force: () => {
        this.#forced.add(instance);
        neuron.unload(jobId, modelId, { force: true });
      },
      cancel: () =>
        neuron.on({ kind: "job-cancel-requested", jobId: instance, unlessJoined: false, atMs: 1 }),
      drained: () => neuron.on({ kind: "drain-timed-out", instance, atMs: 1 }),
      request: () => {
        const admission = admit(neuron.state, modelId);
        if (admission.ok) neuron.request(admission.value.instance);
      },
      ended: () => neuron.requestEnds(instance),
      drain: () => neuron.on({ kind: "drain-requested" }),
      resume: () => neuron.on({ kind: "resume-requested" }),
      "device lost": () => this.#loseDevice(step.minDevices % TOTALS_MIB.length),
      restart: () => this.#restart(),
    };
    neuron.effects = [];
    acts[step.what]();
  }

  /** Whoever is on the card goes with it, work and all; the card comes back with the next restart alone. */
  #loseDevice(index: number): void {
    for (const { instance, devices } of this.neuron.state.models.values()) {
      if (devices.includes(index)) this.#forced.add(instance);
    }
    this.neuron.on({ kind: "devices-lost", indices: new Set([index]), atMs: 1 });
  }

  /** What waits to be loaded again is. */
  #comeBack(jobId: string): void {
    const [due] = this.#due.splice(0);
    if (due !== undefined) this.neuron.on({ kind: "restart-came-due", jobId, atMs: 1, ...due });
  }

  /** The neuron is killed: what loads goes with it, what serves is there for the next one. */
  #restart(): void {
    const before = this.neuron.state;
    const assigned = readAssignment(writeAssignment(this.#assignment())) ?? [];
    const wanted = assigned.filter((model) => model.wanted);
    const left = wanted.filter(({ worker }) => worker !== null);
    this.running.clear();
    this.stopped.clear();
    this.neuron = new DrivenResidency(...TOTALS_MIB);
    this.neuron.state = { ...this.neuron.state, generation: before.generation + 1 };
    for (const model of left) this.#adopt(model, before);
    for (const { spec } of wanted.filter(({ worker }) => worker === null)) {
      this.#jobs += 1;
      this.neuron.load(`j${this.#jobs}`, spec);
      this.#carryOut();
    }
    const after = assignmentOf(this.neuron.state, () => ADDRESS);
    this.recovered = { wanted, left, after };
  }

  readonly #assignment = () =>
    assignmentOf(this.neuron.state, (instance) => (this.running.has(instance) ? ADDRESS : undefined));

  #adopt({ instance, spec, origin, worker }: AssignedModel, before: Residency): void {
    const facts = before.models.get(spec.model_id)?.facts;
    if (worker === null || facts === null || facts === undefined) throw new Error(`${instance} was not left`);
    this.running.add(instance);
    this.neuron.on({
      kind: "worker-adopted",
      instance,
      spec,
      origin,
      pid: worker.pid,
      facts,
      held: worker.devices,
      requestedAtMs: 1,
      loadedAtMs: worker.loaded_at_ms,
      atMs: 1,
    });
    this.#carryOut();
  }

  #tellToGo(instance: string): void {
    this.stopped.add(instance);
    if (!this.#forced.has(instance)) this.cut += findInstance(this.neuron.state, instance)?.openRequests ?? 0;
  }

  #keep(kept: string): void {
    const isNamed = this.#assignment().some(({ instance, worker }) => instance === kept && worker !== null);
    if (isNamed) this.kept.add(kept);
  }

  exit(instance: string): void {
    if (!this.running.delete(instance)) return;
    this.neuron.exited(instance, { signal: "SIGKILL" });
  }

  #carryOut(): void {
    const killed = this.neuron.effects.flatMap((effect) =>
      effect.kind === "stop-worker" && effect.atOnce === true ? effect.instance : [],
    );
    for (const effect of this.neuron.effects) {
      if (effect.kind === "start-worker") {
        if (this.running.has(effect.instance)) throw new Error(`${effect.instance} was started twice`);
        this.running.add(effect.instance);
        this.neuron.on({ kind: "worker-spawned", instance: effect.instance, pid: 1 });
      }
      if (effect.kind === "keep-assignment") this.#keep(effect.instance);
      if (effect.kind === "start-restart-timer") {
        this.#due.push({ request: effect.request, instance: effect.instance });
      }
      if (effect.kind === "stop-worker" && effect.atOnce !== true) {
        this.#tellToGo(effect.instance);
      }
    }
    this.neuron.effects = [];
    if (killed.length === 0) return;
    for (const instance of killed) this.exit(instance);
    this.#carryOut();
  }

  /** A patient world: every process that was told to go exits, everything else moves on. */
  settle(): void {
    this.neuron.on({ kind: "shutdown-begun", drainTimeoutMs: 1, atMs: 1 });
    this.#carryOut();
    for (const { instance } of this.neuron.state.models.values()) {
      this.neuron.on({ kind: "drain-timed-out", instance, atMs: 1 });
      this.#carryOut();
    }
    for (const instance of this.stopped) this.exit(instance);
  }
}
