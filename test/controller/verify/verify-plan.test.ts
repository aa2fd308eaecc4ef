import { describe, expect, test } from "vitest";
import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import type { FleetSnapshot } from "../../../src/protocol/fleet-snapshot.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { CANONICAL_CASES } from "../canonical-fleet.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
} from "../observed-fleet-builders.ts";
import { DECLARATION_MUTATIONS } from "./spoilt-declarations.ts";
import { FIGURE_MUTATIONS } from "./spoilt-figures.ts";
import { canonical, MUTATIONS, neuron, replaced, spoil } from "./spoilt-plans.ts";

const checksOf = (plan: PlanDocument, snapshot?: FleetSnapshot): string[] => [
  ...new Set(verifyPlan(plan, snapshot).findings.map(({ check }) => check)),
];

test.each(Object.keys(CANONICAL_CASES))("the good plan of %s passes", (name) => {
  const good = canonical(name);
  expect(verifyPlan(good.plan, good.snapshot).findings).toEqual([]);
});

test("so do replacements that take turns", () => {
  const good = replaced();
  expect(good.plan.changes.map(({ id, depends_on }) => [id, depends_on])).toEqual([
    ["unload stray@a", []],
    ["replace m@b", []],
    ["replace m@a", ["replace m@b", "unload stray@a"]],
  ]);
  expect(verifyPlan(good.plan, good.snapshot).findings).toEqual([]);
});

describe("a spoilt plan is found out", () => {
  test.each([...MUTATIONS, ...FIGURE_MUTATIONS, ...DECLARATION_MUTATIONS])("%s: %s", (...mutation) => {
    const [check, , good, change] = mutation;
    const spoilt = spoil(good.plan, change);
    expect(checksOf(spoilt, good.snapshot)).toContain(check);
    expect(checksOf(spoilt, good.snapshot)).not.toContain("digest");
  });

  test("digest: a plan that was edited by hand", () => {
    const { plan: good } = canonical("drained");
    const [change] = good.changes;
    if (change === undefined) throw new Error("no change");
    expect(
      checksOf({ ...good, changes: [{ ...change, detail: "trust me" }, ...good.changes.slice(1)] }),
    ).toContain("digest");
  });

  test("untouchable: what a person loaded by hand and no block declares", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a"]);
    const current = residentModel({ id: "m", vramMb: 10, specHash: declaredHash(fleet, "m") });
    const by = (origin: "manual" | "revision") =>
      observedFleet(
        observedNeuron("a", {
          devices: [8000],
          residents: [current, residentModel({ id: "guest", vramMb: 9, origin })],
        }),
      );
    const unloading = plan(fleet, by("revision"));
    expect(unloading.changes.map(({ id }) => id)).toEqual(["unload guest@a"]);
    const forged = spoil(unloading, (copy) => {
      for (const model of neuron(copy, "a").models) if (model.model_id === "guest") model.origin = "manual";
    });
    expect(checksOf(forged)).toEqual(["untouchable"]);
    // Whoever hides where it came from is found out by the snapshot.
    expect(checksOf(unloading, snapshotOfFleet("home", by("manual")))).toContain("snapshot");
  });

  test("untouchable: what a person loaded by hand, although a block declares it", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a"]);
    const outdated = residentModel({ id: "m", vramMb: 10, specHash: "old" });
    const replacing = plan(
      fleet,
      observedFleet(observedNeuron("a", { devices: [8000], residents: [outdated] })),
    );
    expect(replacing.changes.map(({ id }) => id)).toEqual(["replace m@a"]);
    const forged = spoil(replacing, (copy) => {
      for (const model of neuron(copy, "a").models) model.origin = "manual";
    });
    expect(checksOf(forged)).toEqual(["untouchable"]);
  });

  test("without a snapshot the plan's own record is believed, and everything else is checked", () => {
    const { plan: good } = canonical("drained");
    expect(verifyPlan(good).findings).toEqual([]);
    const spoilt = spoil(good, (copy) => {
      neuron(copy, "benjy").generation = 1;
    });
    expect(verifyPlan(spoilt).findings).toEqual([]);
  });
});
