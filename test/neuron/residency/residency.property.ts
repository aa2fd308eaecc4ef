import fc from "fast-check";
import { expect, test } from "vitest";
import { trafficCounts } from "../../../src/neuron/residency/admission.ts";
import type { AssignedModel } from "../../../src/neuron/residency/assignment.ts";
import { describeModels } from "../../../src/neuron/residency/describe-residency.ts";
import { heldMib } from "../../../src/neuron/residency/device-ledger.ts";
import { jobHasEnded } from "../../../src/neuron/residency/job-history.ts";
import { findInstance, type Residency } from "../../../src/neuron/residency/residency-state.ts";
import { anyMove, swapMove, TOTALS_MIB, World } from "./residency-world.ts";

function checkLaws(state: Residency): void {
  const lost = new Set(state.ledger.flatMap(({ index, isLost }) => (isLost === true ? index : [])));
  const onLost = [...state.models.values()].filter(({ devices }) => devices.some((index) => lost.has(index)));
  // What was on a lost card may still be on its way out, and nothing else is there.
  expect(onLost.filter(({ phase }) => phase.name !== "stopping")).toEqual([]);
  const overFull = state.ledger.filter(
    (device) => !lost.has(device.index) && heldMib(device) > device.totalMib,
  );
  expect(overFull).toEqual([]);
  for (const device of state.ledger) {
    expect(new Set(device.holds.map(({ holder }) => holder)).size).toBe(device.holds.length);
    for (const { holder, heldMib: held } of device.holds) {
      expect(held).toBeGreaterThanOrEqual(0);
      expect(state.models.has(holder)).toBe(true);
    }
  }
  const loadingOn = [...state.models.values()]
    .filter(({ phase }) => phase.name === "loading")
    .flatMap(({ devices }) => devices);
  expect(new Set(loadingOn).size).toBe(loadingOn.length);
  for (const { vram_used_mb: used, device_vram_mb: split = [], devices } of describeModels(state).models) {
    expect(split).toHaveLength(devices.length);
    expect(split.reduce((total, share) => total + share, 0)).toBe(used);
  }
  for (const resident of state.models.values()) {
    const counts = trafficCounts(resident);
    expect(counts.inFlight).toBeGreaterThanOrEqual(0);
    expect(counts.inFlight).toBeLessThanOrEqual(counts.maxInFlight);
    expect(counts.queueDepth).toBeLessThanOrEqual(counts.maxQueueDepth);
  }
}

test("whatever happens, no device is over budget, loads do not overlap, the generation never falls", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 60, size: "max" }), (moves) => {
      const world = new World();
      let generation = 0;
      for (const step of moves) {
        world.play(step);
        checkLaws(world.neuron.state);
        expect(world.neuron.state.generation).toBeGreaterThanOrEqual(generation);
        ({ generation } = world.neuron.state);
      }
    }),
    { numRuns: 400 },
  );
});

test("no load is told as done before the next neuron would know its worker", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 60, size: "max" }), (moves) => {
      const world = new World();
      for (const step of moves) {
        world.play(step);
        const done = [...world.neuron.state.jobs.values()].filter(
          ({ kind, state }) => kind === "load" && state === "done",
        );
        expect(done.filter(({ id }) => !world.kept.has(id))).toEqual([]);
      }
    }),
    { numRuns: 400 },
  );
});

const idsOf = (models: readonly AssignedModel[]) => models.map(({ spec }) => spec.model_id).toSorted();

test("after a restart the assignment is what it was, and what served goes on with the same memory", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 30, size: "max" }), (moves) => {
      const world = new World();
      for (const step of moves) world.play(step);
      world.play({ what: "restart", model: 0, mb: 0, minDevices: 1, parallel: 1, evict: [] });
      const { wanted, left, after } = world.recovered;
      expect(idsOf(after)).toEqual(idsOf(wanted));
      for (const model of left) expect(after).toContainEqual(model);
      checkLaws(world.neuron.state);
    }),
    { numRuns: 400 },
  );
});

test("every process that runs belongs to a model, and every model that is on its way out was told to go", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 60, size: "max" }), (moves) => {
      const world = new World();
      for (const step of moves) {
        world.play(step);
        const residents = [...world.neuron.state.models.values()];
        const instances = new Set(residents.map(({ instance }) => instance));
        for (const instance of world.running) expect(instances.has(instance)).toBe(true);
        for (const { instance, phase } of residents) {
          expect(world.stopped.has(instance)).toBe(phase.name === "stopping");
          const hasProcess = !["verifying", "evicting", "verified", "reserved"].includes(phase.name);
          expect(world.running.has(instance)).toBe(hasProcess);
        }
        for (const instance of world.stopped) if (!instances.has(instance)) world.stopped.delete(instance);
      }
    }),
    { numRuns: 400 },
  );
});

test("a swap and an unload cut nothing without force, and who gives way does so to a load that waits for it", () => {
  fc.assert(
    fc.property(fc.array(swapMove, { minLength: 30, maxLength: 60 }), (moves) => {
      const world = new World();
      for (const step of moves) {
        world.play(step);
        expect(world.cut).toBe(0);
        for (const { phase } of world.neuron.state.models.values()) {
          if (phase.name !== "draining" || phase.givesWayTo === null) continue;
          expect(findInstance(world.neuron.state, phase.givesWayTo)?.phase.name).toBe("evicting");
        }
      }
    }),
    { numRuns: 400 },
  );
});

test("every job ends once the processes do", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 60, size: "max" }), (moves) => {
      const world = new World();
      for (const step of moves) world.play(step);
      world.settle();
      expect(world.neuron.state.models.size).toBe(0);
      expect(world.running.size).toBe(0);
      expect([...world.neuron.state.jobs.values()].filter((job) => !jobHasEnded(job))).toEqual([]);
      expect(world.neuron.state.ledger.map(heldMib)).toEqual(TOTALS_MIB.map(() => 0));
    }),
    { numRuns: 400 },
  );
});
