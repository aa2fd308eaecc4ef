import { describe, expect, test } from "vitest";
import type { PlanDocument } from "../../../../src/protocol/plan-document.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  silentNeuron,
  type NeuronFacts,
} from "../../observed-fleet-builders.ts";

const model = (id: string, vramMb: number, more = ""): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = ${vramMb}\n${more}\n`;

/** What the plan says of the model that has no place. */
function unplaced(document: PlanDocument, id = "m"): PlanDocument["unplaced"][number] {
  const found = document.unplaced.find(({ model_id }) => model_id === id);
  if (found === undefined) throw new Error(`${id} has a place`);
  return found;
}

/** Tried advice for `m`, alone on one neuron that is as the facts say. */
const advice = (facts: NeuronFacts, more = ""): string[] =>
  unplaced(plan(fleetFromToml(model("m", 6000) + more, ["a"]), observedFleet(observedNeuron("a", facts))))
    .remedies.filter(({ tried }) => tried)
    .map(({ text }) => text);

describe("advice for a copy without a place", () => {
  test("resume the neuron that takes no new work", () => {
    expect(advice({ devices: [8000], draining: true })).toEqual([
      "resume a, which is draining and takes no new work; it then fits on a",
    ]);
  });

  test("resume the neuron on which it waits for its new settings", () => {
    const old = residentModel({ id: "m", vramMb: 6000, specHash: "old" });
    expect(advice({ devices: [8000], residents: [old], draining: true })).toEqual([
      "resume a, which is draining and takes no new work; it then fits on a",
    ]);
  });

  test("unload what was loaded by hand", () => {
    const stray = residentModel({ id: "stray", vramMb: 4000, origin: "manual" });
    expect(advice({ devices: [8000], residents: [stray] })).toEqual([
      "unload stray, which was loaded by hand; it then fits on a",
    ]);
  });

  test("free what other processes hold", () => {
    expect(advice({ devices: [8000], foreign: [5000] })).toEqual([
      "end other processes that hold 5000 MB of its devices; it then fits on a",
    ]);
  });

  test("end the protection of what is in the way, at the price of its place", () => {
    const fleet = fleetFromToml(
      model("m", 6000, "residency_priority = 200") + model("held", 4000, "protect = true"),
      ["a"],
    );
    const held = residentModel({ id: "held", vramMb: 4000, specHash: declaredHash(fleet, "held") });
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents: [held] })));
    expect(unplaced(document).hint).toBe(
      "a comes closest and is 2000 MB short: lower `context` or `parallel`, or end the protection: " +
        "`protect = false` in the block of held; it then fits on a; held then loses a copy",
    );
  });

  test("names as its price a model that at best is on a neuron that does not answer afterwards", () => {
    const fleet = fleetFromToml(
      model("m", 6000, 'residency_priority = 200\nmin_devices = 2\npinned_on = ["a"]') + model("other", 6000),
      ["a", "b"],
    );
    const document = plan(
      fleet,
      observedFleet(observedNeuron("a", { devices: [8000] }), silentNeuron("b", "connection refused")),
    );
    // The other one may be on b for all that is seen: it is not missing then, and has lost its place all the same.
    expect(document.assignments.map(({ model_id: id }) => id)).toEqual(["other"]);
    const remedies = unplaced(document).remedies.filter(({ tried }) => tried);
    expect(remedies.map(({ kind, costs }) => [kind, costs])).toEqual([["min_devices", ["other"]]]);
  });

  test("start the neuron that does not answer", () => {
    const fleet = fleetFromToml(model("m", 6000, 'pinned_on = ["a", "b"]'), ["a", "b"]);
    const document = plan(fleet, observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [2000] })));
    expect(document.unknown.map(({ model_id }) => model_id)).toEqual(["m"]);
    const old = residentModel({ id: "m", vramMb: 1500, specHash: "old" });
    const seen = observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [2000], residents: [old] }));
    expect(unplaced(plan(fleet, seen)).remedies.map(({ kind }) => kind)).toContain("neuron_back");
  });
});

describe("who is to blame", () => {
  test("not a model that has no place itself, but the protected one that does not give way", () => {
    const fleet = fleetFromToml(
      model("huge", 90_000) + model("m", 6000) + model("held", 4000, "protect = true"),
      ["a", "b"],
    );
    const held = residentModel({ id: "held", vramMb: 4000, specHash: declaredHash(fleet, "held") });
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [held] }),
        observedNeuron("b", { devices: [5000] }),
      ),
    );
    const { conflict, summary } = unplaced(document);
    expect(conflict).toBeNull();
    expect(summary).toBe("does not fit now: fits on a without held (4000 MB, has protect = true)");
  });
});
