import { describe, expect, test } from "vitest";
import { leavesInMs } from "../../../src/gateway/loading/load-upkeep.ts";
import { reduceScheduler } from "../../../src/gateway/loading/scheduler.ts";
import { FleetModel } from "./fleet-model.ts";

function wish(fleet: FleetModel, modelId: string, keepMs: number): void {
  fleet.state = reduceScheduler(fleet.state, {
    kind: "residency-wished",
    modelId,
    keepMs,
    atMs: fleet.nowMs,
  }).state;
}

/** Three copies, asked in the order of their names, idle for long; memory for no fourth. */
function three(strategy: "lru" | "priority" | "cost" = "lru", priority = 100): FleetModel {
  const fleet = new FleetModel(
    { n: 240 },
    [
      { id: "a", mib: 80, loadMs: 1000 },
      { id: "b", mib: 80, loadMs: 1000 },
      { id: "c", mib: 80, loadMs: 1000, priority },
      { id: "new", mib: 80, loadMs: 1000 },
    ],
    { strategy },
  );
  for (const modelId of ["a", "b", "c"]) {
    fleet.ask(modelId);
    fleet.pass(10_000);
  }
  return fleet;
}

function goneFor(fleet: FleetModel): readonly string[] {
  fleet.ask("new");
  fleet.pass(8000);
  expect(fleet.breaches).toEqual([]);
  return ["a", "b", "c"].filter((modelId) => !fleet.loadedOn("n").includes(modelId));
}

describe("who gives way first", () => {
  test.each(["lru", "priority", "cost"] as const)(
    "by %s: whom a client let go, though used last",
    (strategy) => {
      const fleet = three(strategy);
      wish(fleet, "c", 0);
      expect(goneFor(fleet)).toEqual(["c"]);
    },
  );

  test.each(["lru", "priority", "cost"] as const)("by %s: not whom a client wishes to stay", (strategy) => {
    const fleet = three(strategy);
    wish(fleet, "a", Infinity);
    wish(fleet, "b", 3_600_000);
    expect(goneFor(fleet)).toEqual(["c"]);
  });

  test("where all are wished to stay, the one whose time ends first", () => {
    const fleet = three();
    wish(fleet, "a", Infinity);
    wish(fleet, "b", 3_600_000);
    wish(fleet, "c", 7_200_000);
    expect(goneFor(fleet)).toEqual(["b"]);
  });

  test("a time that is over counts no more", () => {
    const fleet = three();
    wish(fleet, "a", 5000);
    expect(goneFor(fleet)).toEqual(["a"]);
  });

  test("that it may go is over with the next request", () => {
    const fleet = three();
    wish(fleet, "c", 0);
    fleet.ask("c");
    fleet.pass(10_000);
    expect(goneFor(fleet)).toEqual(["a"]);
  });
});

describe("a wish is no more than that", () => {
  test("the last copy that may go goes, whoever wishes it to stay", () => {
    const fleet = three();
    for (const modelId of ["a", "b", "c"]) wish(fleet, modelId, Infinity);
    expect(goneFor(fleet)).toEqual(["a"]);
  });

  test("a lower class goes first under priority, whatever is wished", () => {
    const fleet = three("priority", 50);
    wish(fleet, "c", Infinity);
    wish(fleet, "a", 0);
    expect(goneFor(fleet)).toEqual(["c"]);
  });

  test("neither a higher class nor a declared model gives way because somebody let it go", () => {
    const fleet = new FleetModel({ n: 160 }, [
      { id: "high", mib: 80, loadMs: 1000, priority: 300 },
      { id: "declared", mib: 80, loadMs: 1000, replicas: 1 },
      { id: "new", mib: 80, loadMs: 1000 },
    ]);
    fleet.ask("high");
    fleet.ask("declared");
    fleet.pass(10_000);
    wish(fleet, "high", 0);
    wish(fleet, "declared", 0);
    expect(fleet.ask("new").outcome).toBe("refused");
    expect(fleet.loadedOn("n")).toEqual(["high", "declared"]);
  });
});

/** A copy that was used a moment ago, and one that loads as slowly. */
function used(): FleetModel {
  const fleet = new FleetModel({ n: 80 }, [
    { id: "a", mib: 80, loadMs: 20_000 },
    { id: "new", mib: 80, loadMs: 20_000 },
  ]);
  fleet.ask("a");
  fleet.pass(25_000);
  fleet.ask("a");
  fleet.pass(200);
  return fleet;
}

test("whom a client let go gives way without the pause that others are given", () => {
  const kept = used();
  kept.ask("new");
  expect(kept.state.loads.size).toBe(0);
  const released = used();
  wish(released, "a", 0);
  released.ask("new");
  expect([...released.state.loads.values()]).toMatchObject([{ modelId: "new", evict: ["a"] }]);
});

function leaves(fleet: FleetModel, modelId: string): number | null {
  const model = fleet.state.view.neurons.get("n")?.models.get(modelId);
  if (model === undefined) throw new Error(`${modelId} is not loaded`);
  return leavesInMs(fleet.state, { neuron: "n", model, atMs: fleet.nowMs });
}

describe("when a copy goes by itself", () => {
  test("as the files say, from its last use on, whatever is wished", () => {
    const fleet = new FleetModel({ n: 300 }, [
      { id: "a", mib: 80, loadMs: 1000, idleUnloadSecs: 60 },
      { id: "declared", mib: 80, loadMs: 1000, idleUnloadSecs: 60, replicas: 1 },
      { id: "free", mib: 80, loadMs: 1000 },
    ]);
    for (const modelId of ["a", "declared", "free"]) fleet.ask(modelId);
    fleet.pass(5000);
    const told = leaves(fleet, "a") ?? 0;
    expect(told).toBeGreaterThan(50_000);
    wish(fleet, "a", Infinity);
    expect(leaves(fleet, "a")).toBe(told);
    expect(leaves(fleet, "declared")).toBeNull();
    expect(leaves(fleet, "free")).toBeNull();
    fleet.pass(told - 1000);
    expect(fleet.loadedOn("n")).toContain("a");
    fleet.pass(1500);
    expect(fleet.loadedOn("n")).not.toContain("a");
  });
});
