import { describe, expect, test } from "vitest";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import type { ObservedFleet } from "../../../src/controller/observe/observed-fleet.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { CANONICAL_CASES, canonicalFiles, canonicalFleet, canonicalObservation } from "../canonical-fleet.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  silentNeuron,
  rowsOf,
  type ResidentFacts,
} from "../observed-fleet-builders.ts";

const block = (id: string, vramMb: number, rest = ""): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = ${vramMb}\n${rest}\n`;

const current = (fleet: Fleet, facts: ResidentFacts) =>
  residentModel({ ...facts, specHash: declaredHash(fleet, facts.id) });

const row = (document: PlanDocument, id: string) => {
  const found = document.changes.find((change) => change.id === id);
  if (found === undefined) throw new Error(`${id} is not among ${rowsOf(document).join(", ")}`);
  return found;
};

/** The neuron, with requests in flight on one model. */
const used = (neuron: ReturnType<typeof observedNeuron>, id: string, inFlight: number) => ({
  ...neuron,
  health: {
    ...neuron.health,
    models: [
      {
        id,
        in_flight: inFlight,
        queue_depth: 0,
        max_in_flight: 4,
        max_queue_depth: 8,
        rejected_queue_full: 0,
      },
    ],
  },
});

/** x on a and y on b, each filling its neuron, each pinned to the other's. */
function swap(options: {
  readonly x?: string;
  readonly y?: string;
  readonly useX?: number;
  readonly useY?: number;
}): {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
} {
  const fleet = fleetFromToml(
    block("x", 8000, `pinned_on = ["b"]\n${options.x ?? ""}`) +
      block("y", 8000, `pinned_on = ["a"]\n${options.y ?? ""}`),
    ["a", "b"],
  );
  const observed = observedFleet(
    used(
      observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "x", vramMb: 8000 })] }),
      "x",
      options.useX ?? 0,
    ),
    used(
      observedNeuron("b", { devices: [8000], residents: [current(fleet, { id: "y", vramMb: 8000 })] }),
      "y",
      options.useY ?? 0,
    ),
  );
  return { fleet, observed };
}

describe("make before break", () => {
  test("a load that fits beside everything goes first and waits for nothing", () => {
    const fleet = fleetFromToml(block("m", 4000), [["a", "drain = true"], "b"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 4000 })] }),
      observedNeuron("b", { devices: [8000] }),
    );
    const document = plan(fleet, observed);
    expect(document.changes.map(({ id, depends_on, downtime }) => [id, depends_on, downtime])).toEqual([
      ["load m@b", [], null],
      ["unload m@a", ["load m@b"], null],
    ]);
  });

  test("a load waits for the very unloads that make its room, and for no other", () => {
    const fleet = fleetFromToml(block("m", 6000), ["a"]);
    const residents = [
      residentModel({ id: "big", vramMb: 5000 }),
      residentModel({ id: "small", vramMb: 1000 }),
      residentModel({ id: "elsewhere", vramMb: 7000, devices: [1] }),
    ];
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000, 7500], residents })));
    expect(row(document, "load m@a").devices).toEqual([0]);
    expect(row(document, "load m@a").depends_on).toEqual(["unload big@a"]);
  });

  test("replicas are replaced one after the other, and a surplus copy stays until they are", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 2\nvram_mb = 4000\n', ["a", "b", "c"]);
    const old = residentModel({ id: "m", vramMb: 4000 });
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [old] }),
        observedNeuron("b", { devices: [8000], residents: [old] }),
        observedNeuron("c", { devices: [8000], residents: [old] }),
      ),
    );
    expect(document.changes.map(({ id, depends_on }) => [id, depends_on])).toEqual([
      ["replace m@a", []],
      ["replace m@b", ["replace m@a"]],
      ["unload m@c", ["replace m@a", "replace m@b"]],
    ]);
    expect(document.changes.every(({ downtime }) => downtime === null)).toBe(true);
  });

  test("a single copy that is replaced in its place is down meanwhile, and the row says for how long", () => {
    const fleet = fleetFromToml(block("m", 4000), ["a"]);
    const old = residentModel({ id: "m", vramMb: 4000 });
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents: [old] })));
    const { downtime, duration } = row(document, "replace m@a");
    expect(downtime?.secs).toBe(duration.secs);
    expect(downtime?.reason).toContain("a neuron holds one copy");
  });
});

describe("rings", () => {
  test("are broken at the model of the lower class", () => {
    const { fleet, observed } = swap({ x: "residency_priority = 200", useX: 0, useY: 9 });
    const document = plan(fleet, observed);
    expect(
      document.changes.filter(({ downtime }) => downtime !== null).map(({ model_id }) => model_id),
    ).toEqual(["y"]);
  });

  test.each([
    [5, 1, "y"],
    [1, 5, "x"],
  ])("within a class at the model that is used least (%i against %i)", (useX, useY, down) => {
    const { fleet, observed } = swap({ useX, useY });
    const document = plan(fleet, observed);
    const interrupted = document.changes.filter(({ downtime }) => downtime !== null);
    expect(interrupted.map(({ model_id }) => model_id)).toEqual([down]);
    expect(interrupted[0]?.downtime?.secs).toBe(20);
    expect(interrupted[0]?.downtime?.reason).toMatch(/^break before make, because its memory is needed for /);
  });

  test("never at a protected model", () => {
    const { fleet, observed } = swap({ x: "protect = true", useX: 0, useY: 9 });
    const document = plan(fleet, observed);
    expect(
      document.changes.filter(({ downtime }) => downtime !== null).map(({ model_id }) => model_id),
    ).toEqual(["y"]);
  });

  test("are left for another time when every model in them is protected", () => {
    const { fleet, observed } = swap({ x: "protect = true", y: "protect = true" });
    const document = plan(fleet, observed);
    expect([rowsOf(document), document.complete, document.applyable]).toEqual([[], false, false]);
    expect(document.deferred.map(({ id }) => id).toSorted()).toEqual([
      "load x@b",
      "load y@a",
      "unload x@a",
      "unload y@b",
    ]);
    expect(document.deferred[0]?.reason).toContain("protect = true forbids that");
  });

  test("are avoided by parking a copy where its block allows it", () => {
    const situation = CANONICAL_CASES["swap-parked"];
    if (situation === undefined) throw new Error("no such case");
    const fleet = canonicalFleet(canonicalFiles(situation));
    const document = plan(fleet, canonicalObservation(fleet, situation));
    expect(rowsOf(document)).toEqual([
      "load acme/writer@quadbrat [parked]",
      "unload acme/writer@benjy [pin_changed]",
      "load acme/coder@benjy [moved]",
      "unload acme/coder@beast [pin_changed]",
      "load acme/writer@beast [moved]",
      "unload acme/writer@quadbrat [parking_ended]",
    ]);
    expect(document.changes.every(({ downtime }) => downtime === null)).toBe(true);
  });
});

describe("what it takes", () => {
  test("a measured load of the same settings is believed; neurons work side by side", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 3\nvram_mb = 4000\n', ["a", "b", "c"]);
    const loaded = { ...current(fleet, { id: "m", vramMb: 4000 }), load_duration_ms: 21_000 };
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [loaded] }),
        observedNeuron("b", { devices: [8000] }),
        observedNeuron("c", { devices: [8000] }),
      ),
    );
    expect(document.changes.map(({ duration }) => duration)).toEqual([
      { secs: 21, source: "measured", confidence: "medium" },
      { secs: 21, source: "measured", confidence: "medium" },
    ]);
    expect(document.schedule).toMatchObject({
      predicted_secs: 21,
      waves: 1,
      unpredicted_steps: 0,
      confidence: "medium",
    });
    expect(document.schedule.critical_path).toHaveLength(1);
  });

  test("a neuron loads one model at a time", () => {
    const fleet = fleetFromToml(block("m", 1000) + block("n", 2000), ["a"]);
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] })));
    expect(document.schedule).toMatchObject({ predicted_secs: 12, waves: 2, confidence: "low" });
    expect(document.schedule.critical_path).toEqual(document.changes.map(({ id }) => id));
  });

  test("what nothing allows to guess is not guessed", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\n', ["a"]);
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] })));
    expect(document.changes[0]?.duration).toEqual({ secs: null, source: "unknown", confidence: "none" });
    expect(document.schedule).toMatchObject({
      predicted_secs: null,
      unpredicted_steps: 1,
      confidence: "none",
    });
  });

  test("requests on what leaves are counted; a remote source is a download of unknown size", () => {
    const { fleet, observed } = swap({ useX: 3 });
    expect(row(plan(fleet, observed), "unload x@a").requests).toEqual({
      in_flight: 3,
      queued: 0,
      per_minute: null,
    });
    const remote = fleetFromToml(block("m", 1000, 'source = "hf:acme/m-GGUF:Q4_K_M"'), ["a"]);
    const document = plan(remote, observedFleet(observedNeuron("a", { devices: [8000] })));
    expect(document.changes[0]?.download_bytes).toBeNull();
  });
});

/** Desired state with one neuron. */
const source = (text: string) => {
  const fleet = fleetFromToml(text, ["a"]);
  return { fleet, fleetDigest: text, revision: { commit: "b".repeat(40), dirty: false, path: "." } };
};

describe("parts of a plan", () => {
  const models = block("m", 3000) + block("n", 3000, 'pinned_on = ["b"]');
  const neurons = [["a", "drain = true"], "b"] as const;

  test("targets take along what they depend on, and nothing else", () => {
    const fleet = fleetFromToml(models, neurons);
    const observed = observedFleet(
      observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 3000 })] }),
      observedNeuron("b", { devices: [6500], residents: [residentModel({ id: "stray", vramMb: 3000 })] }),
    );
    const whole = plan(fleet, observed);
    expect(whole.changes).toHaveLength(4);
    const part = plan(fleet, observed, { targets: ["n"] });
    const kept = part.changes.map(({ id }) => id);
    expect(kept).toContain("load n@b");
    expect(kept).not.toContain("unload m@a");
    for (const { depends_on } of part.changes) for (const id of depends_on) expect(kept).toContain(id);
    expect([part.complete, part.outside_targets]).toEqual([false, 4 - kept.length]);
  });

  test("whoever gives way to a target comes back within the same plan", () => {
    const swap = block("x", 10_000, 'pinned_on = ["b"]') + block("y", 10_000, 'pinned_on = ["a"]');
    const fleet = fleetFromToml(swap, ["a", "b"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [12_000], residents: [current(fleet, { id: "x", vramMb: 10_000 })] }),
      observedNeuron("b", { devices: [12_000], residents: [current(fleet, { id: "y", vramMb: 10_000 })] }),
    );
    const part = plan(fleet, observed, { targets: ["y"] });
    expect(part.changes.map(({ id }) => id).toSorted()).toEqual([
      "load x@b",
      "load y@a",
      "unload x@a",
      "unload y@b",
    ]);
    expect(part.changes.flatMap(({ downtime }) => (downtime?.ends === false ? [downtime] : []))).toEqual([]);
  });

  test("who leaves for good elsewhere is none of a target's business", () => {
    const fleet = fleetFromToml(block("t", 6000, 'pinned_on = ["a"]'), ["a", "b", "c"]);
    const stray = residentModel({ id: "stray", vramMb: 4000 });
    const observed = observedFleet(
      ...["a", "b", "c"].map((name) => observedNeuron(name, { devices: [8000], residents: [stray] })),
    );
    const part = plan(fleet, observed, { targets: ["t"] });
    expect(part.changes.map(({ id }) => id)).toEqual(["unload stray@a", "load t@a"]);
  });

  test("a model that is left out stays as it is, with what would need its change, and all else is done", () => {
    const fleet = fleetFromToml(
      block("t", 6000, 'pinned_on = ["a"]') + block("n", 3000, 'pinned_on = ["b"]'),
      ["a", "b"],
    );
    const observed = observedFleet(
      observedNeuron("a", { devices: [8000], residents: [residentModel({ id: "stray", vramMb: 4000 })] }),
      observedNeuron("b", { devices: [8000] }),
    );
    const part = plan(fleet, observed, { excepted: ["stray"] });
    expect(part.changes.map(({ id }) => id)).toEqual(["load n@b"]);
    expect(part.deferred).toEqual([
      {
        id: "load t@a",
        model_id: "t",
        reason: "it cannot be done without a change that --except leaves out",
      },
    ]);
    expect([part.excepted, part.targets, part.outside_targets]).toEqual([["stray"], ["n", "t"], 1]);
    expect(verifyPlan(part, snapshotOfFleet("home", observed)).findings).toEqual([]);
    expect(printPlan(part, { colour: false })).toContain("everything but stray");
  });

  test("a copy that would come back only with a model that is left out is not taken down", () => {
    const swap = block("x", 10_000, 'pinned_on = ["b"]') + block("y", 10_000, 'pinned_on = ["a"]');
    const fleet = fleetFromToml(swap, ["a", "b"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [12_000], residents: [current(fleet, { id: "x", vramMb: 10_000 })] }),
      observedNeuron("b", { devices: [12_000], residents: [current(fleet, { id: "y", vramMb: 10_000 })] }),
    );
    const part = plan(fleet, observed, { excepted: ["x"] });
    expect(part.changes).toEqual([]);
    expect(part.deferred.map(({ model_id }) => model_id)).toEqual(["y", "y"]);
  });

  test("what has no place outside of the targets keeps the plan from calling the fleet complete", () => {
    const fleet = fleetFromToml(block("m", 3000) + block("big", 90_000), ["a"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 3000 })] }),
    );
    const part = plan(fleet, observed, { targets: ["m"] });
    expect([part.changes, part.complete, part.outside_targets]).toEqual([[], false, 1]);
    expect(printPlan(part, { colour: false })).toContain("No changes to m at ");
  });

  test("a neuron that the branch removes is seen by the base, so what follows from it is the branch's doing", () => {
    const text = block("m", 3000);
    const fleet = fleetFromToml(text, ["b"]);
    const before = fleetFromToml(text, ["a", "b"]);
    const a = observedNeuron("a", {
      devices: [8000],
      residents: [current(fleet, { id: "m", vramMb: 3000 })],
    });
    const b = observedNeuron("b", { devices: [8000] });
    const base = { ...source(text), fleet: before, observed: observedFleet(a, b) };
    const document = plan(fleet, observedFleet(b), { base });
    expect(document.changes.map(({ id, caused_by }) => [id, caused_by])).toEqual([["load m@b", "branch"]]);
  });

  test("a base tells apart what the branch does, what is pending, and what it spares", () => {
    const observed = observedFleet(
      observedNeuron("a", { devices: [8000], residents: [residentModel({ id: "old", vramMb: 1000 })] }),
    );
    const base = source(block("pending", 1000));
    const head = source(block("pending", 1000) + block("new", 1000) + block("old", 1000));
    const document = plan(head.fleet, observed, { base: { ...base, observed } });
    expect(document.changes.map(({ id, caused_by }) => [id, caused_by])).toEqual([
      ["load new@a", "branch"],
      ["load pending@a", "pending"],
      ["replace old@a", "branch"],
    ]);
    expect(document.comparison?.avoided.map(({ id }) => id)).toEqual(["unload old@a"]);
  });

  test("what would be lost with each neuron", () => {
    const fleet = fleetFromToml(block("m", 3000) + block("pinned", 3000, 'pinned_on = ["b"]'), ["a", "b"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [4000], residents: [current(fleet, { id: "m", vramMb: 3000 })] }),
      observedNeuron("b", { devices: [8000], residents: [current(fleet, { id: "pinned", vramMb: 3000 })] }),
    );
    expect(plan(fleet, observed).survival.neurons).toEqual([
      { neuron: "a", lost: [], reduced: [], reloaded: ["m"] },
      { neuron: "b", lost: ["pinned"], reduced: [], reloaded: [] },
    ]);
  });

  test("a neuron that does not answer is no refuge from the death of another", () => {
    const fleet = fleetFromToml(block("m", 3000), ["a", "b"]);
    const observed = observedFleet(
      observedNeuron("a", { devices: [4000], residents: [current(fleet, { id: "m", vramMb: 3000 })] }),
      silentNeuron("b"),
    );
    expect(plan(fleet, observed).survival.neurons).toEqual([
      { neuron: "a", lost: ["m"], reduced: [], reloaded: [] },
    ]);
  });
});
