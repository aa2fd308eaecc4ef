import { applyPlan } from "../../src/controller/apply/io/apply-plan.ts";
import type { ObservedFleet, ObservedNeuron } from "../../src/controller/observe/observed-fleet.ts";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import type { ApplyResult } from "../../src/protocol/apply-events.ts";
import type { PlanDocument } from "../../src/protocol/plan-document.ts";
import { quickPlan } from "../controller/observed-fleet-builders.ts";
import type { World } from "../controller/plan-worlds.ts";
import { HurriedClock } from "../support/hurried-clock.ts";
import { clientOf, Fuse, SimulatedMachine, type Dice } from "./simulated-machine.ts";

/** A fleet of simulated machines, and everything about them that should never have happened. */
export class Simulation {
  readonly complaints: string[] = [];
  /** What the machines took: `load m@a`. */
  readonly taken: string[] = [];
  readonly #silent: readonly ObservedNeuron[];
  readonly #machines: readonly SimulatedMachine[];
  readonly #clock = new HurriedClock();
  readonly #order: readonly string[];
  /** Models that must have a ready copy at every moment, whatever a plan says. */
  promised: readonly string[] = [];
  /** Models that must have a ready copy at every moment of the apply under way. */
  #alwaysThere: ReadonlySet<string> = new Set();

  constructor({ observed }: World, seed: number) {
    const options = {
      dice: diceOf(seed),
      onTaken: (change: string) => void this.taken.push(change),
      complain: (what: string) => void this.complaints.push(what),
      onChange: () => this.#lookForGaps(),
    };
    this.#order = observed.neurons.map(({ name }) => name);
    this.#silent = observed.neurons.filter(({ reachable }) => !reachable);
    this.#machines = observed.neurons.flatMap((neuron) =>
      neuron.reachable ? [new SimulatedMachine(neuron, options)] : [],
    );
  }

  get requests(): number {
    return this.#machines.reduce((sum, machine) => sum + machine.requests, 0);
  }

  plan(fleet: Fleet): PlanDocument {
    return quickPlan(fleet, this.observe());
  }

  observe(): ObservedFleet {
    const seen = [...this.#silent, ...this.#machines.map((machine) => machine.observe())];
    const neurons = seen.toSorted(
      (left, right) => this.#order.indexOf(left.name) - this.#order.indexOf(right.name),
    );
    return { observedAtMs: 0, neurons };
  }

  /** Consents to everything. */
  apply(plan: PlanDocument, fuse = Fuse.never()): Promise<ApplyResult> {
    this.#alwaysThere = new Set([...this.promised, ...this.#promisedBy(plan)]);
    return applyPlan(plan, {
      clock: this.#clock,
      onEvent: () => undefined,
      allowProtected: true,
      allowMassUnload: plan.unload_guard.copies_lost,
      connect: ({ name }) => {
        const machine = this.#machines.find((candidate) => candidate.name === name);
        if (machine === undefined) throw new Error(`nobody is called ${name}`);
        return clientOf(machine, fuse);
      },
    });
  }

  /** The applier is gone; what the machines have begun they finish. */
  runOut(): void {
    for (const machine of this.#machines) machine.runOut();
  }

  /** Declared, ready now, and without a gap by the plan's own word. */
  #promisedBy({ declared, changes, unplaced }: PlanDocument): string[] {
    return declared
      .filter(({ model_id, replicas }) => replicas > 0 && this.#isReady(model_id))
      .map(({ model_id }) => model_id)
      .filter((id) => changes.every(({ model_id, downtime }) => model_id !== id || downtime === null))
      .filter((id) => unplaced.every(({ model_id }) => model_id !== id));
  }

  #isReady(modelId: string): boolean {
    return this.#machines.some((machine) => machine.isReady(modelId));
  }

  #lookForGaps(): void {
    for (const id of this.#alwaysThere)
      if (!this.#isReady(id))
        this.complaints.push(`${id} was not there for a moment, and the plan promised no gap`);
  }
}

/** What the plan does, change by change: `load m@a`. */
export const actionsOf = (plan: PlanDocument): string[] =>
  plan.changes.flatMap(({ actions, model_id, neuron }) =>
    actions.map((action) => `${action} ${model_id}@${neuron}`),
  );

/** mulberry32: small, and good enough to roll dice with. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return (sides) => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}
