import { describe, expect, test } from "vitest";
import { FleetModel } from "./fleet-model.ts";

const beside = (defragAfterCycles: number, neurons: Readonly<Record<string, number>> = { n: 100 }) => {
  const fleet = new FleetModel(
    neurons,
    [
      { id: "stays", mib: 20, loadMs: 100, replicas: 1 },
      { id: "a", mib: 80, loadMs: 100 },
      { id: "b", mib: 80, loadMs: 100 },
    ],
    { defragAfterCycles },
  );
  for (const name of Object.keys(neurons)) fleet.place(name, "stays", "revision");
  fleet.see();
  return fleet;
};
const cycle = (fleet: FleetModel, ids: readonly string[]) => {
  for (const id of ids) {
    fleet.ask(id);
    fleet.pass(8000);
  }
};

describe("a copy beside which others come and go", () => {
  test("is loaded anew after so many, once it is quiet, and no sooner", () => {
    const fleet = beside(3);
    cycle(fleet, ["a", "b", "a"]);
    expect(fleet.recycled).toEqual([]);
    const busy = fleet.ask("stays", { serveMs: 60_000 });
    cycle(fleet, ["b"]);
    fleet.pass(40_000);
    expect([busy.state, fleet.recycled]).toEqual(["in-flight", []]);
    fleet.pass(20_000);
    expect([busy.state, fleet.recycled]).toEqual(["over", []]);
    fleet.pass(30_000);
    expect(fleet.recycled).toEqual([{ neuron: "n", modelId: "stays" }]);
    fleet.pass(600_000);
    expect(fleet.recycled).toHaveLength(1);
    expect(fleet.breaches).toEqual([]);
  });

  test("goes at once where another copy stands in, and these one after the other", () => {
    const fleet = beside(3, { n: 100, o: 100 });
    for (const name of ["n", "o"]) {
      for (const id of ["a", "b", "a"]) {
        fleet.place(name, id);
        fleet.takeAway(name, id);
      }
    }
    fleet.see();
    expect(fleet.recycled).toHaveLength(2);
    expect(new Set(fleet.recycled.map(({ neuron }) => neuron))).toEqual(new Set(["n", "o"]));
    expect(fleet.breaches).toEqual([]);
  });

  test("stays for ever with 0", () => {
    const fleet = beside(0);
    cycle(fleet, ["a", "b", "a", "b", "a", "b"]);
    fleet.pass(100_000);
    expect(fleet.recycled).toEqual([]);
  });
});
