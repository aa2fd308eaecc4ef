import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  observedFleet,
  observedNeuron,
  fleetFromToml,
  residentModel,
} from "../controller/observed-fleet-builders.ts";
import { randomWorld } from "../controller/random-worlds.ts";
import { runsOf } from "../support/long-runs.ts";
import { changeFleet, killAtEachChange } from "./courses.ts";
import { SimulatedMachine } from "./simulated-machine.ts";
import { Simulation } from "./simulation.ts";

const seed = fc.nat(1_000_000);
const LONGEST_MS = 3_600_000;

describe("random fleets and changes on simulated machines", () => {
  test(
    "steps executed are the steps planned, the next plan is empty, memory is never exceeded, no request is cut",
    { timeout: LONGEST_MS },
    async () => {
      const seen = { changes: 0, requests: 0 };
      await fc.assert(
        fc.asyncProperty(randomWorld, randomWorld, seed, async (world, other, dice) => {
          const { changes, requests } = await changeFleet(world, other, dice);
          seen.changes += changes;
          seen.requests += requests;
        }),
        { numRuns: runsOf({ ci: 60, fuzz: 1000 }) },
      );
      expect(seen.changes).toBeGreaterThan(100);
      expect(seen.requests).toBeGreaterThan(100);
    },
  );

  test(
    "an applier that is killed at any of its changes leaves what the next apply brings to its end",
    { timeout: LONGEST_MS },
    async () => {
      let killed = 0;
      await fc.assert(
        fc.asyncProperty(randomWorld, seed, async (world, dice) => {
          killed += (await killAtEachChange(world, dice)).kills;
        }),
        { numRuns: runsOf({ ci: 30, fuzz: 1000 }) },
      );
      expect(killed).toBeGreaterThan(30);
    },
  );
});

/** A machine with 8000 MB that holds a model of 5000 MB which answers requests, and what it complained of. */
function busyMachine(): { readonly machine: SimulatedMachine; readonly complaints: string[] } {
  const facts = observedNeuron("a", {
    devices: [8000],
    residents: [residentModel({ id: "m", vramMb: 5000 })],
  });
  const complaints: string[] = [];
  const machine = new SimulatedMachine(facts, {
    dice: () => 0,
    complain: (what) => void complaints.push(what),
    onTaken: () => undefined,
    onChange: () => undefined,
  });
  machine.tick();
  return { machine, complaints };
}

describe("what the machines complain of", () => {
  test("a load without memory for it", () => {
    const { machine, complaints } = busyMachine();
    const spec = {
      model_id: "n",
      vram_mb: 4000,
      devices: [0],
      harness: "llama",
      parallel: 1,
      min_devices: 1,
    } as const;
    machine.load(
      { ...spec, devices: [0], origin: { kind: "revision" } },
      { generation: machine.observe().generation },
    );
    expect(complaints).toEqual([
      "n@a was loaded where there is no memory for it",
      "device 0 of a holds 9000 MB of 8000 MB",
    ]);
  });

  test("a request that is cut, and a change without a condition", () => {
    const { machine, complaints } = busyMachine();
    machine.unload({ model_id: "m", drain_timeout_secs: 0, force: false, reload: false }, {});
    expect(complaints).toEqual(["a was changed without a condition", "1 requests of m were cut"]);
  });

  test("a model that was not there although the plan promised no gap", async () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 5000\n', ["a"]);
    const facts = observedNeuron("a", {
      devices: [8000],
      residents: [residentModel({ id: "m", vramMb: 5000 })],
    });
    const simulation = new Simulation({ fleet, observed: observedFleet(facts) }, 1);
    const honest = simulation.plan(fleet);
    expect(honest.changes.map(({ kind, downtime }) => [kind, downtime === null])).toEqual([
      ["replace", false],
    ]);
    simulation.promised = ["m"];
    await simulation.apply(honest);
    expect(simulation.complaints).toContain("m was not there for a moment, and the plan promised no gap");
  });
});
