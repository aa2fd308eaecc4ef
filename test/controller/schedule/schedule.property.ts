import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyIsOver,
  beginApply,
  stepApply,
  type ApplyEffect,
  type ApplyState,
} from "../../../src/controller/apply/apply-steps.ts";
import type { ObservedFleet } from "../../../src/controller/observe/observed-fleet.ts";
import { memoryInUse } from "../../../src/controller/plan/simulate.ts";
import type { PlanChange, PlanDocument } from "../../../src/protocol/plan-document.ts";
import { quickPlan as plan } from "../observed-fleet-builders.ts";
import { once } from "../../support/once.ts";
import { ANY, world, type World } from "../plan-worlds.ts";

type Amounts = Map<number, number>;

/**
 * A fleet that carries changes out one by one and counts memory by itself: what a neuron's models and others use, and
 * what each copy holds.
 */
class CountingFleet {
  readonly #used = new Map<string, Amounts>();
  readonly #totals = new Map<string, Amounts>();
  readonly #held = new Map<string, Amounts>();
  /** What no fleet can do. */
  readonly problems: string[] = [];

  constructor(observed: ObservedFleet, document: PlanDocument) {
    for (const neuron of observed.neurons) {
      if (!neuron.reachable) continue;
      this.#used.set(neuron.name, memoryInUse(neuron));
      this.#totals.set(
        neuron.name,
        new Map(neuron.discovery.devices.map(({ index, vram_total_mb }) => [index, vram_total_mb])),
      );
    }
    for (const neuron of document.neurons) {
      for (const model of neuron.models) {
        if (model.status === "unloading") continue;
        const amounts = model.devices.map(
          (device, position) => [device, model.device_vram_mb[position] ?? 0] as const,
        );
        this.#held.set(`${model.model_id}@${neuron.name}`, new Map(amounts));
      }
    }
  }

  carryOut(change: PlanChange): void {
    const key = `${change.model_id}@${change.neuron}`;
    if (change.kind !== "load") {
      if (!this.#held.has(key)) this.problems.push(`${change.id} takes down a copy that is not there`);
      this.#count(change.neuron, this.#held.get(key) ?? new Map(), -1);
      this.#held.delete(key);
    }
    if (change.kind === "unload") return;
    if (this.#held.has(key)) this.problems.push(`${change.id} loads a second copy`);
    const takes: Amounts = new Map(
      change.devices.map((device, position) => [device, change.device_vram_mb[position] ?? 0]),
    );
    this.#count(change.neuron, takes, 1);
    this.#held.set(key, takes);
    this.#lookAt(change, takes);
  }

  #lookAt(change: PlanChange, takes: Amounts): void {
    for (const [device, mb] of takes) {
      const used = this.#used.get(change.neuron)?.get(device) ?? 0;
      const total = this.#totals.get(change.neuron)?.get(device) ?? 0;
      if (mb > 0 && used > total)
        this.problems.push(`${change.id} brings device ${device} to ${used} of ${total}`);
    }
  }

  /** Neurons that hold the model now. */
  copiesOf(modelId: string): number {
    return [...this.#held.keys()].filter((key) => key.startsWith(`${modelId}@`)).length;
  }

  #count(neuron: string, amounts: Amounts, sign: 1 | -1): void {
    const used = this.#used.get(neuron) ?? new Map<number, number>();
    for (const [device, mb] of amounts) used.set(device, (used.get(device) ?? 0) + sign * mb);
  }
}

interface Run {
  /** Which of the running steps ends next, and whether it fails. */
  readonly dice: readonly number[];
  readonly failOneIn: number;
  readonly allowProtected: boolean;
}

/** Applies the plan with steps that end in any order and fail at random; every load is checked when it is made. */
function applyAtRandom(document: PlanDocument, observed: ObservedFleet, run: Run): CountingFleet {
  const fleet = new CountingFleet(observed, document);
  const begun = beginApply(document, { parallelism: 3, allowProtected: run.allowProtected });
  let state: ApplyState = begun.state;
  const running: PlanChange[] = [];
  const follow = (effects: readonly ApplyEffect[]): void => {
    for (const effect of effects) if (effect.kind === "start-step") running.push(effect.change);
  };
  const send = (event: Parameters<typeof stepApply>[1]): void => {
    const next = stepApply(state, event);
    state = next.state;
    follow(next.effects);
  };
  send({ kind: "apply-begun" });
  for (let turn = 0; !applyIsOver(state); turn += 1) {
    const dice = run.dice[turn % run.dice.length] ?? 0;
    const [change] = running.splice(dice % Math.max(1, running.length), 1);
    if (change === undefined) throw new Error("nothing runs, and the apply is not over");
    const fails = run.failOneIn > 0 && dice % run.failOneIn === 0;
    if (!fails) fleet.carryOut(change);
    if (!fails) send({ kind: "step-succeeded", step: change.id });
    else send({ kind: "step-failed", step: change.id, reach: dice % 3 === 0 ? "neuron" : "step" });
  }
  return fleet;
}

const anyRun: fc.Arbitrary<Run> = fc.record({
  dice: fc.array(fc.nat(1000), { minLength: 7, maxLength: 7 }),
  failOneIn: fc.constantFrom(0, 2, 4),
  allowProtected: fc.boolean(),
});

const planOnce = once(({ fleet, observed }: World) => plan(fleet, observed));

describe("laws of the transition", () => {
  test("no device is over its memory at any moment, whatever overtakes and whatever fails", () => {
    fc.assert(
      fc.property(world(ANY), anyRun, ({ fleet, observed }, run) => {
        expect(applyAtRandom(planOnce({ fleet, observed }), observed, run).problems).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("only rings of protected copies are left for another time", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        for (const { reason } of planOnce({ fleet, observed }).deferred)
          expect(reason).toContain("protect = true");
      }),
      { numRuns: 200 },
    );
  });

  test("a model that serves and stays declared is never without a copy, unless a row says so", () => {
    let watched = 0;
    fc.assert(
      fc.property(world(ANY), anyRun, ({ fleet, observed }, { dice }) => {
        const document = planOnce({ fleet, observed });
        const before = new CountingFleet(observed, document);
        const serving = fleet.models
          .filter(({ id, replicas }) => replicas > 0 && before.copiesOf(id) > 0)
          .map(({ id }) => id)
          .filter((id) => isWhollyLoaded(observed, id))
          .filter((id) => document.changes.every((row) => row.model_id !== id || row.downtime === null));
        watched += serving.length;
        const replaced = new Set(
          document.changes.filter(({ kind }) => kind === "replace").map(({ id }) => id),
        );
        const counting = new CountingFleet(observed, document);
        const gaps: string[] = [];
        walk(document, dice, (change) => {
          // A replacement is down between its two halves: some other copy must be up.
          const isAlone = replaced.has(change.id) && counting.copiesOf(change.model_id) < 2;
          if (isAlone && serving.includes(change.model_id)) gaps.push(change.id);
          counting.carryOut(change);
          for (const id of serving) if (counting.copiesOf(id) === 0) gaps.push(`${id} after ${change.id}`);
        });
        expect(gaps).toEqual([]);
      }),
      { numRuns: 200 },
    );
    expect(watched).toBeGreaterThan(100);
  });
});

/** A copy that is still loading serves nobody. */
const isWhollyLoaded = (observed: ObservedFleet, modelId: string): boolean =>
  observed.neurons.every(
    (neuron) =>
      !neuron.reachable || neuron.models.every(({ id, status }) => id !== modelId || status === "loaded"),
  );

/** Walks through a plan in any order that its lanes and dependencies allow. */
function walk(document: PlanDocument, dice: readonly number[], visit: (change: PlanChange) => void): void {
  const done = new Set<string>();
  const left = [...document.changes];
  for (let turn = 0; left.length > 0; turn += 1) {
    const ready = left.filter(
      (change) =>
        change.depends_on.every((id) => done.has(id)) &&
        left.find((other) => other.neuron === change.neuron) === change,
    );
    const next = ready[(dice[turn % dice.length] ?? 0) % Math.max(1, ready.length)];
    if (next === undefined) throw new Error("no step can start");
    left.splice(left.indexOf(next), 1);
    done.add(next.id);
    visit(next);
  }
}
