import { describe, expect, test } from "vitest";
import { statusReport } from "../../../src/controller/observe/status-report.ts";
import { observedFromSnapshot, snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
  type ResidentFacts,
} from "../observed-fleet-builders.ts";
import { spoil } from "../verify/spoilt-plans.ts";

const QUIET = { reasons: [], work: null, work_problem: null };

const ONE = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n';
/** The fleet of these tests is called home. */
const home = fleetFromToml(ONE, ["a"]);
const holding = (...residents: readonly Partial<ResidentFacts>[]) =>
  observedFleet(
    observedNeuron("a", {
      devices: [8000],
      residents: residents.map((facts) => residentModel({ id: "stray", vramMb: 1000, ...facts })),
    }),
  );
const reasonOf = (fleet: string): string =>
  `belongs to the fleet ${fleet}, loaded from 0000000; takes_over = ["${fleet}"] under [fleet] makes its copies this fleet's`;

describe("copies of another fleet", () => {
  test("are not unloaded, and named; those of no known fleet are ours, as before", () => {
    const document = plan(home, holding({ fleet: "lab" }, { id: "old" }, { id: "own", fleet: "home" }));
    expect(rowsOf(document)).toEqual([
      "load m@a [declared_not_loaded]",
      "unload old@a [loaded_not_declared]",
      "unload own@a [loaded_not_declared]",
    ]);
    expect(document.left_alone).toEqual([
      { model_id: "stray", neuron: "a", because: "other_fleet", fleet: "lab", reason: reasonOf("lab") },
    ]);
    expect(printPlan(document, { colour: false }).replaceAll(/\s+/g, " ")).toContain(
      `stray on a: ${reasonOf("lab")}`,
    );
    expect(verifyPlan(document).findings).toEqual([]);
  });

  test("of the same name and another repository are named as such, with the line that takes them over", () => {
    const theirs = "home#root-aaaaaaaaaaaa";
    const seen = holding({ fleet: theirs }, { id: "m", fleet: theirs, specHash: declaredHash(home, "m") });
    const document = plan(home, seen);
    expect(rowsOf(document)).toEqual([]);
    expect(document.left_alone.map(({ fleet }) => fleet)).toEqual([theirs, theirs]);
    expect(document.left_alone[0]?.reason).toMatch(
      /^belongs to a fleet that is called home too and comes from another repository.*takes_over = \["home#root-aaaaaaaaaaaa"\]/,
    );
    expect(verifyPlan(document).findings).toEqual([]);
    const taken = fleetFromToml(ONE, ["a"]);
    const owner = { ...taken, fleet: { ...taken.fleet, takes_over: [theirs] } };
    expect(rowsOf(plan(owner, seen))).toEqual(["unload stray@a [loaded_not_declared]"]);
  });

  test("hold their memory: nothing is loaded over them, and whoever is in the way is said to be another's", () => {
    const document = plan(home, holding({ fleet: "lab", vramMb: 5000 }));
    expect(rowsOf(document)).toEqual([]);
    expect(document.unplaced).toMatchObject([
      { model_id: "m", blockers: [{ neuron: "a", model_id: "stray", because: "other_fleet" }] },
    ]);
    expect(document.unplaced[0]?.summary).toContain("stray (5000 MB, belongs to another fleet)");
    expect(verifyPlan(document).findings).toEqual([]);
  });

  test("are no declared copies, are not replaced, and close their neuron for the model", () => {
    const elsewhere = fleetFromToml(ONE, ["a", "b"]);
    for (const specHash of [declaredHash(elsewhere, "m"), "other"]) {
      const document = plan(
        elsewhere,
        observedFleet(
          observedNeuron("a", {
            devices: [16_000],
            residents: [residentModel({ id: "m", vramMb: 4000, specHash, fleet: "lab" })],
          }),
          observedNeuron("b", { devices: [8000] }),
        ),
      );
      expect([rowsOf(document), document.unchanged]).toEqual([["load m@b [declared_not_loaded]"], 0]);
      expect(document.changes[0]?.detail).toBe("replicas = 1, and it is not loaded");
      expect(verifyPlan(document).findings).toEqual([]);
    }
  });

  test("are named where they close the only neuron", () => {
    const document = plan(home, holding({ id: "m", fleet: "lab" }));
    expect(document.unplaced[0]?.refusals).toEqual([
      { neuron: "a", reason: "already has a copy, of the fleet lab, and a neuron holds one" },
    ]);
  });

  test("do not count for how much of what is loaded goes", () => {
    const gone = fleetFromToml(ONE.replace("replicas = 1", "replicas = 0"), ["a"]);
    const others = ["1", "2", "3", "4"].map((id) => ({ id, vramMb: 1, fleet: "lab" }));
    const document = plan(gone, holding(...others, { id: "x", vramMb: 1 }, { id: "y", vramMb: 1 }));
    expect(document.unload_guard).toMatchObject({ copies_loaded: 2, copies_lost: 2, percent: 100 });
    expect(verifyPlan(document).findings).toEqual([]);
  });

  test("become this fleet's by takes_over, as after a rename", () => {
    const renamed = { ...home, fleet: { ...home.fleet, takes_over: ["lab"] } };
    const document = plan(renamed, holding({ fleet: "lab" }));
    expect(rowsOf(document)).toEqual([
      "load m@a [declared_not_loaded]",
      "unload stray@a [loaded_not_declared]",
    ]);
    expect([document.left_alone, document.takes_over]).toEqual([[], ["lab"]]);
    expect(verifyPlan(document).findings).toEqual([]);
  });

  test("a person's copy is a person's, whatever fleet is said", () => {
    const document = plan(home, holding({ fleet: "lab", origin: "manual" }));
    expect(document.left_alone).toMatchObject([{ because: "loaded_by_hand", fleet: null }]);
  });

  test("are known from a snapshot as well", () => {
    const observed = holding({ fleet: "lab" });
    const snapshot = snapshotOfFleet("home", observed);
    const document = plan(home, observedFromSnapshot(snapshot, home));
    expect(document.left_alone).toMatchObject([{ because: "other_fleet", fleet: "lab" }]);
    expect(document.neurons[0]?.models).toMatchObject([{ model_id: "stray", fleet: "lab" }]);
  });
});

const checksOf = (...[document, snapshot]: Parameters<typeof verifyPlan>): string[] => [
  ...new Set(verifyPlan(document, snapshot).findings.map(({ check }) => check)),
];

describe("the second opinion", () => {
  const unloading = plan(home, holding({ fleet: "home" }));
  const leaving = plan(home, holding({ fleet: "lab" }));
  test("refuses a plan that takes down another fleet's copy", () => {
    const forged = spoil(unloading, ({ neurons }) => {
      for (const neuron of neurons) for (const model of neuron.models) model.fleet = "lab";
    });
    expect(checksOf(forged)).toContain("untouchable");
    expect(checksOf(unloading, snapshotOfFleet("home", holding({ fleet: "lab" })))).toContain("snapshot");
  });

  test("refuses one that keeps quiet about another fleet's copy, or gives it to somebody else", () => {
    expect(checksOf(spoil(leaving, (document) => void (document.left_alone = [])))).toEqual(["accounting"]);
    const changes = [
      (row: (typeof leaving.left_alone)[number]) => void (row.fleet = "home"),
      (row: (typeof leaving.left_alone)[number]) => void (row.because = "loaded_by_hand"),
    ];
    for (const change of changes) {
      const forged = spoil(leaving, ({ left_alone }) => left_alone.forEach(change));
      expect(checksOf(forged)).toEqual(["accounting"]);
    }
  });
});

test("status names the fleet of a copy, and counts only its own", () => {
  const observed = holding({ fleet: "lab" }, { id: "m", fleet: "lab" }, { id: "own", fleet: "home" });
  const report = statusReport({
    fleet: home,
    observed,
    gateway: { url: "http://gateway", status: "ok", problem: null, ...QUIET },
  });
  expect(report.neurons[0]?.models.map(({ id, fleet, foreign }) => [id, fleet, foreign])).toEqual([
    ["stray", "lab", true],
    ["m", "lab", true],
    ["own", "home", false],
  ]);
  expect(report.models).toEqual([
    { id: "m", declared: 1, loaded_on: [], state: "missing" },
    { id: "own", declared: null, loaded_on: ["a"], state: "undeclared" },
    { id: "stray", declared: null, loaded_on: ["a"], state: "foreign" },
  ]);
});
