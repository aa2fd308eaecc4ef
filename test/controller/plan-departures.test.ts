import { expect, test } from "vitest";
import { verifyPlan } from "../../src/controller/verify-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
} from "./observed-fleet-builders.ts";

test("a surplus copy that placement wants just where it is stays, and is said to stay", () => {
  const fleet = fleetFromToml(
    '[[models]]\nid = "big"\nreplicas = 1\nvram_mb = 9000\npinned_on = ["d"]\n[[models]]\nid = "m"\nreplicas = 1\n',
    ["b", "d"],
  );
  const byHand = residentModel({ id: "m", vramMb: 4000, origin: "manual", measured: false });
  const document = plan(
    fleet,
    observedFleet(
      observedNeuron("b", {
        devices: [4000],
        residents: [
          residentModel({ id: "m", vramMb: 4000, measured: false, specHash: declaredHash(fleet, "m") }),
        ],
      }),
      observedNeuron("d", { devices: [12_000], residents: [byHand] }),
    ),
  );
  expect(rowsOf(document)).toEqual(["unload m@d [spec_changed]", "load big@d [declared_not_loaded]"]);
  expect(document.unchanged).toBe(1);
  expect(document.assignments.find(({ model_id }) => model_id === "m")).toMatchObject({
    neuron: "b",
    status: "kept",
    moved_from: null,
    rule: "stays",
  });
  expect(verifyPlan(document).findings).toEqual([]);
});

test("what no block declares any more leaves under the protection of its last block", () => {
  const fleet = fleetFromToml('[[models]]\nid = "other"\n', ["a"]);
  const observed = observedFleet(
    observedNeuron("a", { devices: [8000], residents: [residentModel({ id: "old", vramMb: 10 })] }),
  );
  const document = plan(fleet, observed, { formerlyProtected: new Set(["old"]) });
  expect(document.changes).toMatchObject([
    {
      id: "unload old@a",
      protected: true,
      detail: "no [[models]] block declares it, and its last one had protect = true",
    },
  ]);
  expect(plan(fleet, observed).changes[0]?.protected).toBe(false);
});
