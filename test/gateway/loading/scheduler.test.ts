import { describe, expect, test } from "vitest";
import { reduceScheduler } from "../../../src/gateway/loading/scheduler.ts";
import type { NeuronView } from "../../../src/gateway/view/fleet-view.ts";
import { FleetModel } from "./fleet-model.ts";
import type { Request } from "./simulated-request.ts";

const waits = (requests: readonly Request[], modelId: string): number[] =>
  requests
    .filter((request) => request.modelId === modelId && request.outcome === "granted")
    .map((request) => request.grantedAtMs - request.arrivedAtMs);

const longest = (values: readonly number[]): number => Math.max(0, ...values);

const two = (loadMs = 1000) =>
  new FleetModel({ n: 100 }, [
    { id: "a", mib: 80, loadMs },
    { id: "b", mib: 80, loadMs },
  ]);

describe("two models with memory for one", () => {
  test("asked in turn, each is loaded in the other's place, both ways", () => {
    const fleet = two();
    for (const modelId of ["a", "b", "a", "b", "a"]) {
      const request = fleet.ask(modelId);
      fleet.pass(5000);
      expect([modelId, request.outcome, fleet.loadedOn("n")]).toEqual([modelId, "granted", [modelId]]);
    }
    expect(fleet.swaps).toHaveLength(4);
    expect(fleet.breaches).toEqual([]);
  });

  test.each([
    { everyMs: 100, serveMs: 400 },
    { everyMs: 300, serveMs: 100 },
    { everyMs: 1000, serveMs: 1500 },
  ])(
    "under steady traffic every $everyMs ms both are served in their time, and the swaps are few",
    (pace) => {
      const fleet = two(2000);
      const minutes = 5;
      for (let at = 0; at < minutes * 60_000; at += pace.everyMs) {
        fleet.ask("a", { serveMs: pace.serveMs });
        fleet.ask("b", { serveMs: pace.serveMs, principal: "q" });
        fleet.pass(pace.everyMs);
      }
      fleet.pass(60_000);
      expect(fleet.breaches).toEqual([]);
      const served = (modelId: string) => waits(fleet.requests, modelId).length;
      expect(served("a") / served("b")).toBeGreaterThan(0.8);
      expect(served("a") / served("b")).toBeLessThan(1.25);
      // A turn is a load and twice its time, at each of the two.
      for (const modelId of ["a", "b"]) expect(longest(waits(fleet.requests, modelId))).toBeLessThan(30_000);
      expect(fleet.swaps.length / minutes).toBeLessThan(60 / 3);
      expect(fleet.swaps.length).toBeGreaterThan(10);
    },
  );

  test("one request among steady traffic of the other waits for its turn, no longer", () => {
    const fleet = two(2000);
    for (let at = 0; at < 20_000; at += 100) {
      fleet.ask("a", { serveMs: 500 });
      fleet.pass(100);
    }
    const rare = fleet.ask("b");
    for (let at = 0; at < 10_000; at += 100) {
      fleet.ask("a", { serveMs: 500 });
      fleet.pass(100);
    }
    expect(rare.outcome).toBe("granted");
    expect(rare.grantedAtMs - rare.arrivedAtMs).toBeLessThan(5000);
    fleet.pass(60_000);
    expect(fleet.requests.filter(({ state }) => state !== "over")).toEqual([]);
    expect(fleet.breaches).toEqual([]);
  });

  test("a long answer is not cut: the other waits until it ends, and who came meanwhile is served", () => {
    const fleet = two();
    const long = fleet.ask("a", { serveMs: 100_000 });
    fleet.pass(3000);
    const other = fleet.ask("b");
    fleet.pass(50_000);
    expect([long.state, other.state]).toEqual(["in-flight", "waiting"]);
    fleet.pass(70_000);
    expect(other.outcome).toBe("granted");
    expect(fleet.breaches).toEqual([]);
  });
});

const three = (strategy: "lru" | "priority" | "cost") => {
  const fleet = new FleetModel(
    { n: 240 },
    [
      { id: "old", mib: 80, loadMs: 20_000, priority: 100 },
      { id: "cheap", mib: 80, loadMs: 500, priority: 100 },
      { id: "low", mib: 80, loadMs: 30_000, priority: 10 },
      { id: "new", mib: 80, loadMs: 1000, priority: 100 },
    ],
    { strategy },
  );
  for (const modelId of ["old", "cheap", "low"]) {
    fleet.ask(modelId);
    fleet.pass(40_000);
  }
  fleet.ask("new");
  fleet.pass(10_000);
  return ["old", "cheap", "low"].filter((modelId) => !fleet.loadedOn("n").includes(modelId));
};

describe("who gives way", () => {
  test("not what an apply has loaded, nor a declared model: the request is told so at once", () => {
    const fleet = new FleetModel({ n: 100 }, [
      { id: "a", mib: 80, loadMs: 1000 },
      { id: "d", mib: 80, loadMs: 1000, replicas: 1 },
    ]);
    fleet.place("n", "d", "revision");
    fleet.see();
    const request = fleet.ask("a");
    expect(request.outcome).toBe("refused");
    expect(fleet.loadedOn("n")).toEqual(["d"]);
  });

  test("a lower class to a higher one, and never the other way", () => {
    const fleet = new FleetModel({ n: 100 }, [
      { id: "low", mib: 80, loadMs: 1000, priority: 50 },
      { id: "high", mib: 80, loadMs: 1000, priority: 300 },
    ]);
    fleet.ask("low");
    fleet.pass(5000);
    const high = fleet.ask("high");
    fleet.pass(5000);
    expect([high.outcome, fleet.loadedOn("n")]).toEqual(["granted", ["high"]]);
    expect(fleet.ask("low").outcome).toBe("refused");
  });

  test.each([
    { strategy: "lru", gone: "old" },
    { strategy: "priority", gone: "low" },
    { strategy: "cost", gone: "cheap" },
  ] as const)("by $strategy: $gone", ({ strategy, gone }) => {
    expect(three(strategy)).toEqual([gone]);
  });

  test("an idle on-demand copy leaves by itself after its time, a declared one does not", () => {
    const fleet = new FleetModel({ n: 300 }, [
      { id: "a", mib: 80, loadMs: 1000, idleUnloadSecs: 60 },
      { id: "d", mib: 80, loadMs: 1000, idleUnloadSecs: 60, replicas: 1 },
    ]);
    fleet.ask("a");
    fleet.ask("d");
    fleet.pass(50_000);
    expect(fleet.loadedOn("n")).toEqual(["a", "d"]);
    fleet.pass(20_000);
    expect(fleet.loadedOn("n")).toEqual(["d"]);
  });
});

describe("where it is loaded", () => {
  test("four at once spread over what has room, although no neuron has told of a load yet", () => {
    const models = ["a", "b", "c", "d"].map((id) => ({ id, mib: 40, loadMs: 5000 }));
    const fleet = new FleetModel({ n: 100, o: 100 }, models);
    const requests = models.map(({ id }) => fleet.ask(id));
    fleet.pass(6000);
    expect(requests.map(({ outcome }) => outcome)).toEqual(["granted", "granted", "granted", "granted"]);
    expect([fleet.loadedOn("n").length, fleet.loadedOn("o").length]).toEqual([2, 2]);
  });

  test("where the least is left over, so that large gaps stay for large models", () => {
    const fleet = new FleetModel({ large: 1000, small: 100 }, [{ id: "a", mib: 80, loadMs: 1000 }]);
    fleet.ask("a");
    fleet.pass(2000);
    expect(fleet.loadedOn("small")).toEqual(["a"]);
  });

  test("on the next neuron when one cannot load it, and not on that one again for a while", () => {
    const fleet = new FleetModel({ n: 100, o: 200 }, [
      { id: "a", mib: 80, loadMs: 1000, idleUnloadSecs: 20 },
    ]);
    fleet.break("n", "a");
    const request = fleet.ask("a");
    fleet.pass(5000);
    expect([request.outcome, fleet.loadedOn("o")]).toEqual(["granted", ["a"]]);
    fleet.mend("n");
    fleet.pass(30_000);
    fleet.ask("a");
    fleet.pass(5000);
    expect(fleet.loadedOn("o")).toEqual(["a"]);
  });

  test("nowhere when all have failed: told so at once, with the time of the next try", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000 }]);
    fleet.break("n", "a");
    const first = fleet.ask("a");
    fleet.pass(2000);
    expect(first.outcome).toBe("refused");
    expect(fleet.ask("a").outcome).toBe("refused");
    expect(fleet.state.loads.size).toBe(0);
    fleet.mend("n");
    fleet.pass(10_000);
    const later = fleet.ask("a");
    fleet.pass(2000);
    expect(later.outcome).toBe("granted");
  });
});

test("what a neuron found a model to take is forgotten with the files that it was found for", () => {
  const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000 }]);
  const learnt = { ...fleet.state, neededMib: new Map([["a", 999]]) };
  const asked = reduceScheduler(learnt, {
    kind: "waiter-arrived",
    waiterId: "w",
    modelId: "a",
    principal: "p",
    affinity: null,
    avoid: new Set(),
    excluded: new Set(),
    deadlineAtMs: 1000,
    atMs: 0,
  });
  expect(asked.effects).toMatchObject([
    { kind: "release-waiter", outcome: { error: { code: "no_feasible_neuron", retryAfterSecs: undefined } } },
  ]);
  const { state } = reduceScheduler(learnt, { kind: "policy-changed", policy: learnt.policy, atMs: 0 });
  expect(state.neededMib.size).toBe(0);
});

/** Counts how often the neurons are looked over, which each model that is looked at needs once at least. */
class CountedNeurons extends Map<string, NeuronView> {
  looks = 0;

  override values(): MapIterator<NeuronView> {
    this.looks += 1;
    return super.values();
  }
}

function looksWith(waitingModels: number): number {
  const models = Array.from({ length: waitingModels }, (_, at) => ({ id: `m${at}`, mib: 90, loadMs: 1 }));
  const fleet = new FleetModel({ n: 100 }, [...models, { id: "a", mib: 80, loadMs: 1, parallel: 1 }]);
  fleet.place("n", "a");
  fleet.see();
  const running = Array.from({ length: 2 }, () => fleet.ask("a", { serveMs: 60_000 }));
  fleet.ask("a");
  for (const { id } of models) fleet.ask(id);
  fleet.demand(fleet.state.queues.size === waitingModels + 1, "not all of them wait");
  const neurons = new CountedNeurons(fleet.state.view.neurons);
  fleet.state = { ...fleet.state, view: { ...fleet.state.view, neurons } };
  for (const request of running) fleet.finish(request);
  fleet.demand(fleet.state.queues.size === waitingModels, "who waited for the place did not get it");
  if (fleet.breaches.length > 0) throw new Error(fleet.breaches.join());
  return neurons.looks;
}

test("a request that comes or goes costs the same whether one model is waited for or five hundred", () => {
  expect(looksWith(500)).toBe(looksWith(1));
  expect(looksWith(1)).toBeGreaterThan(0);
});

describe("who waits", () => {
  test("is let go at the rate at which the copy takes them, in order", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 2 }]);
    const requests = Array.from({ length: 60 }, () => fleet.ask("a", { serveMs: 500 }));
    fleet.pass(1100);
    expect(requests.filter(({ state }) => state === "in-flight")).toHaveLength(4);
    fleet.pass(20_000);
    expect(requests.every(({ outcome }) => outcome === "granted")).toBe(true);
    const granted = requests.map(({ grantedAtMs }) => grantedAtMs);
    expect(granted).toEqual(granted.toSorted((left, right) => left - right));
  });

  test("goes to every copy, not only to the one that was loaded for it", () => {
    const fleet = new FleetModel({ n: 100, o: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    const requests = Array.from({ length: 12 }, () => fleet.ask("a", { serveMs: 1000 }));
    fleet.pass(500);
    fleet.place("o", "a");
    fleet.see();
    fleet.pass(10_000);
    expect(new Set(requests.map(({ neuron }) => neuron))).toEqual(new Set(["n", "o"]));
  });

  test("is not sent back to a copy that has just failed it while another one serves, however empty that is", () => {
    const fleet = new FleetModel({ n: 100, o: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    fleet.place("n", "a");
    fleet.place("o", "a");
    fleet.see();
    const others = Array.from({ length: 8 }, () => fleet.ask("a", { serveMs: 1000, avoid: ["n"] }));
    fleet.pass(1);
    expect(new Set(others.map(({ neuron }) => neuron))).toEqual(new Set(["o", ""]));
    const unharmed = fleet.ask("a", { serveMs: 1000 });
    fleet.pass(1);
    expect(unharmed.neuron).toBe("n");
    fleet.pass(10_000);
    expect(new Set(others.map(({ neuron }) => neuron))).toEqual(new Set(["o"]));
  });

  test("is sent back to a copy that failed it when there is no other", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    fleet.place("n", "a");
    fleet.see();
    const again = fleet.ask("a", { avoid: ["n"] });
    fleet.pass(1);
    expect(again.neuron).toBe("n");
  });

  test("keeps away from a copy that fails of late while another one stands, and one of them tries it again", () => {
    const fleet = new FleetModel({ n: 100, o: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    fleet.place("n", "a");
    fleet.place("o", "a");
    fleet.see();
    fleet.turn("n", "a", true);
    const requests = Array.from({ length: 40 }, () => fleet.ask("a", { serveMs: 400 }));
    const atN = () => requests.filter(({ neuron }) => neuron === "n").length;
    fleet.pass(900);
    // Two places, taken twice before it was known.
    expect(atN()).toBe(4);
    fleet.turn("n", "a", false);
    fleet.pass(1000);
    expect(atN()).toBe(4);
    fleet.pass(600);
    expect(atN()).toBe(5);
    fleet.pass(10_000);
    expect(requests.every(({ outcome }) => outcome === "granted")).toBe(true);
    expect(atN()).toBeGreaterThan(10);
    expect(fleet.breaches).toEqual([]);
  });

  test("goes to the only copy after its rest, though that fails of late", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    fleet.place("n", "a");
    fleet.see();
    fleet.turn("n", "a", true);
    for (let i = 0; i < 4; i += 1) fleet.ask("a");
    fleet.pass(200);
    const patient = fleet.ask("a");
    fleet.turn("n", "a", false);
    fleet.pass(500);
    expect(patient.state).toBe("waiting");
    fleet.pass(2000);
    expect([patient.outcome, patient.neuron]).toEqual(["granted", "n"]);
    expect(fleet.breaches).toEqual([]);
  });

  test("shares with others evenly, however many requests they have", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000, parallel: 1 }]);
    for (let i = 0; i < 40; i += 1) fleet.ask("a", { principal: "many", serveMs: 1000 });
    const few = fleet.ask("a", { principal: "few", serveMs: 1000 });
    fleet.pass(6000);
    expect(few.outcome).toBe("granted");
  });

  test("keeps the load alive while its clients come and go, and no longer than that", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 200_000 }]);
    for (let i = 0; i < 6; i += 1) {
      const impatient = fleet.ask("a");
      fleet.pass(20_000);
      fleet.leave(impatient);
      fleet.pass(10_000);
    }
    expect(fleet.state.loads.size).toBe(1);
    expect(fleet.state.loads.get("a")?.attempt).toBe(1);
    fleet.pass(60_000);
    expect(fleet.state.loads.size).toBe(0);
  });

  test("is told its place when its time is over", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 200_000 }]);
    fleet.ask("a");
    const late = fleet.ask("a", { patienceMs: 5000 });
    fleet.pass(5200);
    expect([late.outcome, late.state]).toEqual(["refused", "over"]);
  });

  test("is bounded in number", () => {
    const fleet = new FleetModel({ n: 100 }, [{ id: "a", mib: 80, loadMs: 1000 }], {
      maxWaitersPerModel: 3,
    });
    const requests = Array.from({ length: 4 }, () => fleet.ask("a"));
    expect(requests.map(({ outcome }) => outcome)).toEqual([null, null, null, "refused"]);
  });
});
