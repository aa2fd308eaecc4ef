import { describe, expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  quickPlan as plan,
  residentModel,
  rowsOf,
} from "../observed-fleet-builders.ts";

const model = (id: string, vramMb: number, more = ""): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = ${vramMb}\n${more}\n`;

const WIDE = "min_devices = 2";

describe("what a plan says of copies on several devices", () => {
  test("an assignment has the split of its row, also beside a copy that has not moved away yet", () => {
    const fleet = fleetFromToml(model("leaving", 15_500, 'pinned_on = ["b"]') + model("wide", 7000, WIDE), [
      "a",
      "b",
    ]);
    const observed = observedFleet(
      observedNeuron("a", {
        devices: [16_000, 16_000],
        residents: [
          residentModel({ id: "leaving", vramMb: 15_500, specHash: declaredHash(fleet, "leaving") }),
        ],
      }),
      observedNeuron("b", { devices: [16_000], residents: [residentModel({ id: "wide", vramMb: 7700 })] }),
    );
    const document = plan(fleet, observed);
    // 500 MB are free on the first device until the other one has moved, and that waits for this one.
    const row = document.changes.find(({ id }) => id === "load wide@a");
    const assignment = document.assignments.find(({ model_id: id }) => id === "wide");
    expect(row?.device_vram_mb).toEqual([213, 6787]);
    expect(assignment?.device_vram_mb).toEqual([213, 6787]);
    expect(verifyPlan(document).findings).toEqual([]);
  });
});

describe("a neuron that takes no new work", () => {
  const fleet = fleetFromToml(model("m", 4000, "context = 8192"), ["a", "b"]);
  const old = { id: "m", vramMb: 4000, specHash: "old" };

  test("keeps a copy with old settings until another neuron has the new ones", () => {
    const draining = observedNeuron("a", {
      devices: [8000],
      residents: [residentModel(old)],
      draining: true,
    });
    const document = plan(fleet, observedFleet(draining, observedNeuron("b", { devices: [8000] })));
    expect(rowsOf(document)).toEqual(["load m@b [moved]", "unload m@a [spec_changed]"]);
    expect(verifyPlan(document).findings).toEqual([]);
  });

  test("keeps it for good where no other can take it, and the plan says that a copy is missing", () => {
    const draining = observedNeuron("a", {
      devices: [8000],
      residents: [residentModel(old)],
      draining: true,
    });
    const document = plan(fleet, observedFleet(draining, observedNeuron("b", { devices: [2000] })));
    expect(rowsOf(document)).toEqual([]);
    expect(document.unplaced.map(({ model_id, missing_replicas }) => [model_id, missing_replicas])).toEqual([
      ["m", 1],
    ]);
    expect(document.assignments.map(({ status }) => status)).toEqual(["outdated"]);
    expect(verifyPlan(document).findings).toEqual([]);
  });
});
