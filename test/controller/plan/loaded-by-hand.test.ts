import { describe, expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
} from "../observed-fleet-builders.ts";

const ONE = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n';

const byHand = (specHash?: string) =>
  residentModel({
    id: "m",
    vramMb: 4000,
    origin: "manual",
    ...(specHash === undefined ? {} : { specHash }),
  });

describe("what a person loaded by hand, once its id is declared", () => {
  const handOver = "; unload it there by hand (POST /models/unload), and cortex loads it as declared";

  test("is not replaced: with other settings it is no declared copy, and the plan says what can be done", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [byHand()] }),
        observedNeuron("b", { devices: [8000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@b [declared_not_loaded]"]);
    const reason = `loaded by hand (its settings are not as declared)${handOver}`;
    expect(document.left_alone).toEqual([
      { model_id: "m", neuron: "a", because: "loaded_by_hand", fleet: null, reason },
    ]);
    expect(verifyPlan(document).findings).toEqual([]);

    const alone = plan(
      fleetFromToml(ONE, ["a"]),
      observedFleet(observedNeuron("a", { devices: [8000], residents: [byHand()] })),
    );
    expect([rowsOf(alone), alone.complete]).toEqual([[], false]);
    expect(alone.left_alone).toEqual([
      { model_id: "m", neuron: "a", because: "loaded_by_hand", fleet: null, reason },
    ]);
    expect(alone.unplaced).toMatchObject([
      {
        model_id: "m",
        missing_replicas: 1,
        refusals: [{ neuron: "a", reason: "already has a copy, loaded by hand, and a neuron holds one" }],
      },
    ]);
  });

  test("is not moved to make room: with the declared settings it counts, where it is", () => {
    const fleet = fleetFromToml(
      `${ONE}[[models]]\nid = "big"\nreplicas = 1\nvram_mb = 7000\npinned_on = ["a"]\nresidency_priority = 200\n`,
      ["a", "b"],
    );
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [byHand(declaredHash(fleet, "m"))] }),
        observedNeuron("b", { devices: [8000] }),
      ),
    );
    expect([rowsOf(document), document.unchanged]).toEqual([[], 1]);
    expect(document.unplaced).toMatchObject([
      { model_id: "big", blockers: [{ model_id: "m", because: "loaded_by_hand" }] },
    ]);
  });
});
