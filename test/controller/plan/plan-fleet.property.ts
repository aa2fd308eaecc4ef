import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import type { ObservedFleet, ReachableNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import type { PlanChange, PlanDocument } from "../../../src/protocol/plan-document.ts";
import type { ResidentModel } from "../../../src/protocol/neuron-api.ts";
import { afterPlan, quickPlan as plan, residentsAfter, rowsOf } from "../observed-fleet-builders.ts";
import { once } from "../../support/once.ts";
import { ANY, hasCopiesToSpareByHand, shuffled, world, type World } from "../plan-worlds.ts";

/** Counts as a neuron does: a model on several devices takes from each in proportion to what is free there. */
class Ledger {
  readonly #free: Map<number, number>;
  readonly #held = new Map<string, ReadonlyMap<number, number>>();

  constructor(neuron: ReachableNeuron) {
    this.#free = new Map(
      neuron.health.devices.map(({ index, vram_free_mb }) => [index, vram_free_mb] as const),
    );
    for (const model of neuron.models) {
      const held = model.devices.map((device) => [device, heldOn(model, device)] as const);
      this.#held.set(model.id, new Map(held));
    }
  }

  /** The split of what was loaded; "refused" when it does not fit. */
  carryOut({ kind, model_id: modelId, devices, vram_after_mb: needMb }: PlanChange): unknown {
    if (kind !== "load") this.#shift(this.#held.get(modelId) ?? new Map(), 1);
    if (kind === "unload") return undefined;
    const free = devices.map((device) => this.#free.get(device) ?? 0);
    const sum = free.reduce((total, mb) => total + mb, 0);
    if (free.some((mb) => mb <= 0) || sum < needMb) return "refused";
    let left = needMb;
    const split = free.map((mb) => {
      const share = Math.min(left, Math.ceil((needMb * mb) / sum));
      left -= share;
      return share;
    });
    const shares = new Map(devices.map((device, position) => [device, split[position] ?? 0]));
    this.#held.set(modelId, shares);
    this.#shift(shares, -1);
    return split;
  }

  #shift(shares: ReadonlyMap<number, number>, sign: 1 | -1): void {
    for (const [device, mb] of shares) this.#free.set(device, (this.#free.get(device) ?? 0) + sign * mb);
  }
}

function heldOn(model: ResidentModel, device: number): number {
  const position = model.devices.indexOf(device);
  if (position === -1) return 0;
  return model.device_vram_mb?.[position] ?? model.vram_used_mb / model.devices.length;
}

const openModels = ({ unplaced, unknown }: PlanDocument): string[] =>
  [...new Set([...unplaced, ...unknown].map(({ model_id }) => model_id))].toSorted();

/** Some models on their way out, some devices in fuller use than they can be, some readings missing. */
function oddly(observed: ObservedFleet, dice: readonly number[]): ObservedFleet {
  const neurons = observed.neurons.map((neuron, number) => {
    if (!neuron.reachable) return neuron;
    const turn = dice[number] ?? 0;
    const models = neuron.models.map((model, index) =>
      (index + turn) % 4 === 0 ? { ...model, status: "unloading" as const } : model,
    );
    const devices = neuron.health.devices
      .filter((_, index) => turn !== 5 || index > 0)
      .map((reading) => (turn === 4 ? { ...reading, vram_used_mb: reading.vram_used_mb + 20_000 } : reading));
    return { ...neuron, models, health: { ...neuron.health, devices } };
  });
  return { ...observed, neurons };
}

const downForGood = ({ changes }: PlanDocument): string[] =>
  changes.flatMap(({ model_id, downtime }) => (downtime?.ends === false ? [model_id] : []));

const planOnce = once(({ fleet, observed }: World) => plan(fleet, observed));

describe("laws of the plan", () => {
  test("no device is over its memory when the plan is done", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        for (const neuron of planOnce({ fleet, observed }).neurons)
          for (const device of neuron.devices)
            expect(device.vram_after_mb).toBeLessThanOrEqual(device.vram_total_mb);
      }),
      { numRuns: 200 },
    );
  });

  test("no device is over its memory after any step on the way", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const document = planOnce({ fleet, observed });
        const loaded = new Map(
          observed.neurons.flatMap((neuron) => (neuron.reachable ? [[neuron.name, neuron.models]] : [])),
        );
        for (const change of document.changes) {
          const models = residentsAfter(loaded.get(change.neuron) ?? [], change);
          loaded.set(change.neuron, models);
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          if (neuron?.reachable !== true)
            throw new Error(`${change.id} touches a neuron that does not answer`);
          for (const device of neuron.discovery.devices) {
            const used = models.reduce((total, model) => total + heldOn(model, device.index), 0);
            expect(used, change.id).toBeLessThanOrEqual(device.vram_total_mb);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("a neuron splits every model as the plan says, and finds the memory for it", () => {
    let spread = 0;
    fc.assert(
      fc.property(world({ maxDevices: 2, knownSizes: true }), ({ fleet, observed }) => {
        const document = planOnce({ fleet, observed });
        const ledgers = new Map(
          observed.neurons.flatMap((neuron) =>
            neuron.reachable ? [[neuron.name, new Ledger(neuron)] as const] : [],
          ),
        );
        for (const change of document.changes) {
          if (change.devices.length > 1 && change.kind !== "unload") spread += 1;
          const split = ledgers.get(change.neuron)?.carryOut(change);
          expect(split, change.id).toEqual(change.kind === "unload" ? undefined : change.device_vram_mb);
        }
      }),
      { numRuns: 200 },
    );
    expect(spread).toBeGreaterThan(200);
  });

  // Sizes are known here: a model of unknown size takes no memory on paper until it was loaded and measured.
  test("carrying a plan out and planning again finds nothing to do", () => {
    let changed = 0;
    fc.assert(
      fc.property(world({ maxDevices: 2, knownSizes: true }), ({ fleet, observed }) => {
        fc.pre(!hasCopiesToSpareByHand(fleet, observed));
        const first = planOnce({ fleet, observed });
        changed += first.changes.length;
        const second = plan(fleet, afterPlan(observed, first));
        expect(rowsOf(second), rowsOf(first).join("\n")).toEqual([]);
        // Where a neuron is silent, a copy that had to leave is known to be missing only until it has left.
        expect(openModels(second)).toEqual(openModels(first));
        expect(openModels(first)).toEqual(
          expect.arrayContaining(second.unplaced.map(({ model_id }) => model_id)) as string[],
        );
      }),
      { numRuns: 200 },
    );
    expect(changed).toBeGreaterThan(200);
  });

  test("the order of files and answers makes no difference", () => {
    fc.assert(
      fc.property(world(ANY), fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), (input, seed) => {
        const straight = planOnce(input);
        const other = shuffled(input, seed);
        const turned = plan(other.fleet, other.observed);
        expect(JSON.stringify(turned)).toBe(JSON.stringify(straight));
      }),
      { numRuns: 250 },
    );
  });

  test("nothing is placed where the file forbids it, and no neuron gets two copies", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const document = planOnce({ fleet, observed });
        for (const change of document.changes.filter(({ kind }) => kind !== "unload")) {
          const block = fleet.models.find(({ id }) => id === change.model_id);
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          if (block === undefined || neuron?.reachable !== true) throw new Error(change.id);
          expect(fleet.neurons.find(({ name }) => name === change.neuron)?.drain).toBe(false);
          expect(block.pinned_on.length === 0 || block.pinned_on.includes(change.neuron)).toBe(true);
          expect(change.devices).toHaveLength(block.min_devices);
          for (const index of change.devices)
            expect(neuron.discovery.devices[index]?.vram_total_mb).toBeGreaterThanOrEqual(
              block.min_device_vram_mb ?? 0,
            );
        }
        const after = afterPlan(observed, document);
        for (const neuron of after.neurons) {
          const ids = neuron.reachable ? neuron.models.map(({ id }) => id) : [];
          expect(new Set(ids).size).toBe(ids.length);
        }
      }),
      { numRuns: 250 },
    );
  });

  test("what a person or another fleet loaded is never touched, whether or not it is declared", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        for (const change of planOnce({ fleet, observed }).changes.filter(({ kind }) => kind !== "load")) {
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          const resident =
            neuron?.reachable === true ? neuron.models.find(({ id }) => id === change.model_id) : undefined;
          expect(resident?.origin.kind, change.id).not.toBe("manual");
          expect(resident?.origin.fleet ?? "home", change.id).toBe("home");
        }
      }),
      { numRuns: 200 },
    );
  });

  test("a step depends only on steps before it", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const seen = new Set<string>();
        for (const change of planOnce({ fleet, observed }).changes) {
          for (const id of change.depends_on) expect(seen.has(id), `${change.id} waits for ${id}`).toBe(true);
          expect(seen.has(change.id)).toBe(false);
          seen.add(change.id);
        }
      }),
      { numRuns: 250 },
    );
  });

  // Apply carries out no plan that has findings, so a finding about a good plan would keep an operator from working.
  test("nor with a plan confined to some models, on neurons whose drivers and models are in any state", () => {
    fc.assert(
      fc.property(
        world(ANY),
        fc.subarray(["m1", "m2", "m3"], { minLength: 1 }),
        fc.array(fc.nat(5), { minLength: 6, maxLength: 6 }),
        ({ fleet, observed }, targets, dice) => {
          const odd = oddly(observed, dice);
          const document = plan(fleet, odd, { targets });
          expect(verifyPlan(document, snapshotOfFleet("home", odd)).findings).toEqual([]);
          const whole = plan(fleet, odd);
          // Whom the whole plan brings back, the part brings back or says that it cannot.
          const saved = document.deferred.map(({ model_id }) => model_id);
          expect([...downForGood(whole), ...saved]).toEqual(expect.arrayContaining(downForGood(document)));
          expect(verifyPlan(whole, snapshotOfFleet("home", odd)).findings).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("nor with a plan that leaves some models out: they stay, and nobody goes down for good because of it", () => {
    fc.assert(
      fc.property(
        world(ANY),
        fc.subarray(["m1", "m2", "m3"], { minLength: 1 }),
        fc.array(fc.nat(5), { minLength: 6, maxLength: 6 }),
        ({ fleet, observed }, excepted, dice) => {
          const odd = oddly(observed, dice);
          const document = plan(fleet, odd, { excepted });
          expect(verifyPlan(document, snapshotOfFleet("home", odd)).findings).toEqual([]);
          expect(document.changes.filter(({ model_id }) => excepted.includes(model_id))).toEqual([]);
          const whole = downForGood(plan(fleet, odd));
          const saved = document.deferred.map(({ model_id }) => model_id);
          expect([...whole, ...saved]).toEqual(expect.arrayContaining(downForGood(document)));
        },
      ),
      { numRuns: 150 },
    );
  });

  test("whoever checks a plan without the planner's code finds nothing wrong with it", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const document = planOnce({ fleet, observed });
        expect(verifyPlan(document, snapshotOfFleet("home", observed)).findings).toEqual([]);
        expect(document.errored).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});
