import { describe, expect, test } from "vitest";
import { makePlan } from "../../../src/controller/plan/io/make-plan.ts";
import type { PlanDeps } from "../../../src/controller/plan/io/plan-deps.ts";
import { fleetDigest } from "../../../src/fleet/schema/fleet-digest.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import type { FleetHistory } from "../../../src/repository/io/fleet-history.ts";
import type { LoadedFleet } from "../../../src/repository/io/load-fleet.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { fleetFromToml, observedNeuron, residentModel, rowsOf } from "../observed-fleet-builders.ts";

const COMMIT = "a".repeat(40);
const BEFORE = "b".repeat(40);
const NEURONS = [observedNeuron("a", { devices: [16_000] }), observedNeuron("b", { devices: [16_000] })];

const loaded = (fleet: Fleet, commit = COMMIT): LoadedFleet => ({
  fleet,
  revision: { commit, dirty: false, path: "fleet" },
  digest: fleetDigest(fleet),
  warnings: [],
  overridden: [],
});

/** A fleet whose history, neurons and solver are values; it writes down what it was asked. */
class FakeWorld implements PlanDeps {
  readonly clock = new ManualClock();
  readonly asked: string[] = [];
  neurons = NEURONS;
  readonly #head: Fleet;
  readonly #earlier: Fleet | undefined;

  constructor(head: Fleet, earlier?: Fleet) {
    this.#head = head;
    this.#earlier = earlier;
  }

  readonly git: PlanDeps["git"] = {
    load: ({ path, ref }) => {
      this.asked.push(`load ${path} ${ref ?? "as it lies there"}`);
      return Promise.resolve(loaded(this.#head));
    },
    loadWithBase: ({ base }) => {
      this.asked.push(`load with ${base}`);
      const earlier = this.#earlier === undefined ? undefined : loaded(this.#earlier, BEFORE);
      return Promise.resolve({ head: loaded(this.#head), base: earlier });
    },
    openHistory: () => Promise.resolve(this.#history),
  };

  readonly ask: PlanDeps["ask"] = {
    neurons: (fleet, { clock, neuronAccess }) => {
      const names = fleet.neurons.map(({ name }) => name);
      this.asked.push(`neurons ${names.join(" ")} with ${neuronAccess?.token ?? "no token"}`);
      const neurons = this.neurons.filter(({ name }) => names.includes(name));
      return Promise.resolve({ observedAtMs: clock.nowMs(), neurons });
    },
    traffic: (url) => {
      this.asked.push(`traffic ${url}`);
      return Promise.resolve(undefined);
    },
    served: (gateway) => {
      this.asked.push(`gateway ${gateway}`);
      return Promise.resolve({ gateway, served: undefined, remark: `no gateway answers at ${gateway}` });
    },
    snapshot: () => Promise.reject(new Error("no snapshot was named")),
  };

  readonly solve: PlanDeps["solve"] = (problem, onProgress) => {
    onProgress(`${problem.neurons.length} neurons`);
    return Promise.resolve({});
  };

  get #history(): FleetHistory {
    return {
      isShallow: false,
      commitsBefore: ({ text, commit, most }) => {
        this.asked.push(`${most} commits before ${commit.slice(0, 4)} changed ${text}`);
        return Promise.resolve([BEFORE]);
      },
      loadAt: () => Promise.resolve(loaded(this.#earlier ?? this.#head, BEFORE)),
    };
  }
}

const fleetOf = (models: string, neurons: readonly string[] = ["a", "b"]) => fleetFromToml(models, neurons);
const IDLE = '[[models]]\nid = "idle"\nreplicas = 0\nvram_mb = 1000\n';
const ONE = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n';

describe("planning on a clock that is driven by hand", () => {
  test("the time of the look is the clock's, and the same world gives the same plan", async () => {
    const world = new FakeWorld(fleetOf(ONE));
    await world.clock.advance(90_000);
    const options = { path: "fleet", neuronAccess: () => Promise.resolve({ token: "a-token-of-16-chars" }) };
    const first = await makePlan(options, world);
    expect(rowsOf(first)).toEqual(["load m@a [declared_not_loaded]"]);
    expect(first.observation.taken_at_ms).toBe(Date.UTC(2026, 0, 1) + 90_000);
    expect(first.revision).toEqual({ commit: COMMIT, dirty: false, path: "fleet" });
    expect(await makePlan(options, world)).toEqual(first);
    expect(world.asked.slice(0, 3)).toEqual([
      "load fleet as it lies there",
      "neurons a b with a-token-of-16-chars",
      "traffic http://127.0.0.1:31314/metrics",
    ]);
  });

  test("a neuron that only the base declares is asked, too, and the others once", async () => {
    const world = new FakeWorld(fleetOf(ONE, ["a"]), fleetOf(IDLE, ["a", "b"]));
    const plan = await makePlan({ path: "fleet", base: "main" }, world);
    expect(plan.changes.map(({ caused_by }) => caused_by)).toEqual(["branch"]);
    expect(world.asked.filter((asked) => asked.startsWith("neurons"))).toEqual([
      "neurons a with no token",
      "neurons b with no token",
    ]);
  });

  test("a block that git still remembers keeps its protection", async () => {
    const guarded = '[[models]]\nid = "guarded"\nreplicas = 1\nvram_mb = 4000\nprotect = true\n';
    const world = new FakeWorld(fleetOf(IDLE), fleetOf(guarded));
    const residents = [residentModel({ id: "guarded", vramMb: 4000, origin: "revision" })];
    world.neurons = [observedNeuron("a", { devices: [16_000], residents })];
    const plan = await makePlan({ path: "fleet" }, world);
    expect(plan.changes.map(({ id, protected: held }) => `${id} ${held}`)).toEqual(["unload guarded@a true"]);
    expect(world.asked).toContain("24 commits before aaaa changed guarded");
  });

  test("the solver is asked only when a proof is wanted, and its progress is passed on", async () => {
    const world = new FakeWorld(fleetOf(ONE));
    const progress: string[] = [];
    const proved = await makePlan({ path: "fleet", prove: (text) => progress.push(text) }, world);
    expect(progress).toEqual(["2 neurons"]);
    expect(proved).toEqual(await makePlan({ path: "fleet" }, world));
  });

  test("a target may be an alias: it means the model", async () => {
    const world = new FakeWorld(fleetOf(`${ONE}[aliases]\nlarge = "m"\n`));
    const plan = await makePlan({ path: "fleet", targets: ["large"] }, world);
    expect([plan.targets, rowsOf(plan)]).toEqual([["m"], ["load m@a [declared_not_loaded]"]]);
    await expect(makePlan({ path: "fleet", targets: ["larg"] }, world)).rejects.toMatchObject({
      next: "did you mean large?",
    });
  });
});
