import { describe, expect, test } from "vitest";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import { planDocumentSchema } from "../../../src/protocol/plan-document.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
  silentNeuron,
  type ResidentFacts,
} from "../observed-fleet-builders.ts";

const ONE = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n';

const lowAndHigh = (low: string): string =>
  `[[models]]\nid = "low"\nreplicas = 1\nvram_mb = 4000\n${low}\n` +
  '[[models]]\nid = "high"\nreplicas = 1\nvram_mb = 8000\nresidency_priority = 200\n';

const current = (fleet: Parameters<typeof declaredHash>[0], facts: ResidentFacts) =>
  residentModel({ ...facts, specHash: declaredHash(fleet, facts.id) });

describe("loading what is declared", () => {
  test("a missing copy goes where most memory is free, on named devices", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000] }),
        observedNeuron("b", { devices: [4000, 16_000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@b [declared_not_loaded]"]);
    expect(document.changes[0]?.spec?.devices).toEqual([1]);
    expect(document.complete).toBe(true);
  });

  test("memory of other processes is not promised", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [16_000], foreign: [14_000] }),
        observedNeuron("b", { devices: [5000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@b [declared_not_loaded]"]);
  });

  test("replicas go to different neurons; what is left over says why not, for every neuron", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 3\nvram_mb = 4000\n', ["a", "b", "c"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000] }),
        observedNeuron("b", { devices: [3000] }),
        observedNeuron("c", { devices: [8000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@a [declared_not_loaded]", "load m@c [declared_not_loaded]"]);
    expect(document.complete).toBe(false);
    expect(document.unplaced).toMatchObject([
      {
        model_id: "m",
        missing_replicas: 1,
        refusals: [
          { neuron: "a", reason: "already has a copy, and a neuron holds one" },
          { neuron: "b", reason: "needs 4000 MB on one device, but the largest has 3000 MB when empty" },
          { neuron: "c", reason: "already has a copy, and a neuron holds one" },
        ],
        layer: "never",
        summary: expect.stringContaining("b could not hold it") as string,
        hint: expect.stringContaining("replicas = 2") as string,
      },
    ]);
  });

  test("a model of unknown size goes where there is any room, and the row says so", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\n', ["a"]);
    const [change] = plan(fleet, observedFleet(observedNeuron("a", { devices: [100] }))).changes;
    expect(change).toMatchObject({ vram_source: "unknown", vram_after_mb: 0 });
    expect(change?.detail).toContain("size is known after the first load");
  });

  test("a measured footprint wins over the declared one", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 2\nvram_mb = 4000\n', ["a", "b"]);
    const loaded = current(fleet, { id: "m", vramMb: 6000 });
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [loaded] }),
        observedNeuron("b", { devices: [5000] }),
      ),
    );
    expect(document.unplaced[0]?.refusals).toContainEqual({
      neuron: "b",
      reason: "needs 6000 MB on one device, but the largest has 5000 MB when empty",
    });
  });

  test.each([
    ["not pinned", 'pinned_on = ["b"]', { devices: [9000] }, 'not in pinned_on = ["b"]'],
    ["too few devices", "min_devices = 2", { devices: [9000] }, "min_devices = 2, but it has 1"],
    [
      "devices too small",
      "min_device_vram_mb = 10_000",
      { devices: [9000] },
      "min_device_vram_mb = 10000 on 1 device(s), but 0 of its 1 have that; the largest has 9000 MB",
    ],
    [
      "draining",
      "",
      { devices: [9000], draining: true },
      "is draining: it takes no new work until it is resumed",
    ],
  ])("%s", (...row) => {
    const [, line, facts, reason] = row;
    const fleet = fleetFromToml(`${ONE}${line}\n`, ["a", ["b", "drain = true"]]);
    const document = plan(
      fleet,
      observedFleet(observedNeuron("a", facts), observedNeuron("b", { devices: [99_000, 99_000] })),
    );
    expect(document.changes).toEqual([]);
    expect(document.unplaced[0]?.refusals).toEqual([
      { neuron: "a", reason },
      { neuron: "b", reason: "drain = true" },
    ]);
  });

  test("a wide model is split over devices in proportion to what is free there", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 12_000\nmin_devices = 2\n', [
      "a",
    ]);
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [4000, 8000, 16_000] })));
    expect(document.changes[0]?.devices).toEqual([1, 2]);
    expect(document.neurons[0]?.devices.map((device) => device.vram_after_mb)).toEqual([0, 4000, 8000]);
  });
});

describe("what is loaded already", () => {
  test("a copy as declared stays where it is, even when another neuron is emptier", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [4000], residents: [current(fleet, { id: "m", vramMb: 4000 })] }),
        observedNeuron("b", { devices: [64_000] }),
      ),
    );
    expect([rowsOf(document), document.unchanged, document.complete]).toEqual([[], 1, true]);
  });

  test("a copy that is loading counts as loaded", () => {
    const fleet = fleetFromToml(ONE, ["a"]);
    const loading = current(fleet, { id: "m", vramMb: 4000, status: "loading", measured: false });
    expect(
      rowsOf(plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents: [loading] })))),
    ).toEqual([]);
  });

  test("other settings are a replacement in place, on the same devices", () => {
    const fleet = fleetFromToml(ONE, ["a"]);
    const old = residentModel({ id: "m", vramMb: 3000, devices: [0] });
    const document = plan(
      fleet,
      observedFleet(observedNeuron("a", { devices: [4500, 9000], residents: [old] })),
    );
    expect(rowsOf(document)).toEqual(["replace m@a [spec_changed]"]);
    expect(document.changes[0]).toMatchObject({
      actions: ["unload", "load"],
      devices: [0],
      vram_before_mb: 3000,
      vram_after_mb: 4000,
    });
  });

  test("new settings that fit nowhere leave the old copy running", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 9000\n', ["a"]);
    const old = residentModel({ id: "m", vramMb: 3000 });
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents: [old] })));
    expect(rowsOf(document)).toEqual([]);
    expect(document.unplaced).toHaveLength(1);
  });

  test("a model on demand is no drift, loaded or not", () => {
    const fleet = fleetFromToml('[[models]]\nid = "m"\n', ["a"]);
    const loaded = current(fleet, { id: "m", vramMb: 100, origin: "request" });
    expect(
      rowsOf(plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents: [loaded] })))),
    ).toEqual([]);
    expect(rowsOf(plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] }))))).toEqual([]);
  });

  test("what no block declares is unloaded, but only if cortex loaded it", () => {
    const fleet = fleetFromToml(ONE.replace("replicas = 1", "replicas = 0"), ["a"]);
    const residents = [
      residentModel({ id: "by-revision", vramMb: 1, origin: "revision" }),
      residentModel({ id: "by-request", vramMb: 1, origin: "request" }),
      residentModel({ id: "by-hand", vramMb: 1, origin: "manual" }),
    ];
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents })));
    expect(rowsOf(document)).toEqual([
      "unload by-request@a [loaded_not_declared]",
      "unload by-revision@a [loaded_not_declared]",
    ]);
    expect(document.left_alone).toEqual([
      {
        model_id: "by-hand",
        neuron: "a",
        because: "loaded_by_hand",
        fleet: null,
        reason: "loaded by hand (no [[models]] block declares it)",
      },
    ]);
  });

  test("of too many copies, the one with the declared settings stays", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", {
          devices: [8000],
          residents: [residentModel({ id: "m", vramMb: 1, lastUsedMs: 99 })],
        }),
        observedNeuron("b", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 1 })] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["unload m@a [replicas_lowered]"]);
  });
});

describe("moving", () => {
  test("a drained neuron is emptied, each copy after its successor is ready", () => {
    const fleet = fleetFromToml(ONE, [["a", "drain = true"], "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 4000 })] }),
        observedNeuron("b", { devices: [8000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@b [moved]", "unload m@a [neuron_drained]"]);
    expect(document.changes[1]?.depends_on).toEqual(["load m@b"]);
  });

  test("a changed pin moves the copy", () => {
    const fleet = fleetFromToml(`${ONE}pinned_on = ["b"]\n`, ["a", "b"]);
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "m", vramMb: 4000 })] }),
        observedNeuron("b", { devices: [8000] }),
      ),
    );
    expect(rowsOf(document)).toEqual(["load m@b [moved]", "unload m@a [pin_changed]"]);
  });

  test("two models that change places on full neurons break before make, the less important one first", () => {
    const fleet = fleetFromToml(
      '[[models]]\nid = "x"\nreplicas = 1\nvram_mb = 8000\npinned_on = ["b"]\nresidency_priority = 200\n[[models]]\nid = "y"\nreplicas = 1\nvram_mb = 8000\npinned_on = ["a"]\n',
      ["a", "b"],
    );
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "x", vramMb: 8000 })] }),
        observedNeuron("b", { devices: [8000], residents: [current(fleet, { id: "y", vramMb: 8000 })] }),
      ),
    );
    expect(rowsOf(document)).toEqual([
      "unload y@b [pin_changed]",
      "load x@b [moved]",
      "unload x@a [pin_changed]",
      "load y@a [moved]",
    ]);
    expect(document.changes[0]?.downtime?.reason).toBe(
      "break before make, because its memory is needed for x (8000 MB free on a device of a third neuron that its block allows would avoid it)",
    );
    expect(document.changes[2]?.downtime).toBeNull();
  });
});

describe("making room", () => {
  test("on-demand models leave for a declared one, least recently used first, and no more than needed", () => {
    const fleet = fleetFromToml(`${ONE}[[models]]\nid = "old"\n[[models]]\nid = "new"\n`, ["a"]);
    const residents = [
      current(fleet, { id: "new", vramMb: 3000, origin: "request", lastUsedMs: 20 }),
      current(fleet, { id: "old", vramMb: 3000, origin: "request", lastUsedMs: 10 }),
    ];
    const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents })));
    expect(rowsOf(document)).toEqual(["unload old@a [makes_room]", "load m@a [declared_not_loaded]"]);
    expect(document.changes[1]?.depends_on).toEqual(["unload old@a"]);
  });

  test("a higher class displaces a resident, which finds another place if there is one", () => {
    const fleet = fleetFromToml(
      '[[models]]\nid = "low"\nreplicas = 1\nvram_mb = 4000\n[[models]]\nid = "high"\nreplicas = 1\nvram_mb = 8000\nresidency_priority = 200\n',
      ["a", "b"],
    );
    const document = plan(
      fleet,
      observedFleet(
        observedNeuron("a", { devices: [8000], residents: [current(fleet, { id: "low", vramMb: 4000 })] }),
        observedNeuron("b", { devices: [4000] }),
      ),
    );
    expect(rowsOf(document)).toEqual([
      "load low@b [moved]",
      "unload low@a [makes_room]",
      "load high@a [declared_not_loaded]",
    ]);
  });

  test("a class displaces neither its own residents nor protected models", () => {
    for (const [line, because] of [
      ["residency_priority = 200", "same class"],
      ["protect = true", "protect = true"],
    ] as const) {
      const fleet = fleetFromToml(lowAndHigh(line), ["a"]);
      const residents = [current(fleet, { id: "low", vramMb: 4000 })];
      const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000], residents })));
      expect(rowsOf(document)).toEqual([]);
      expect(document.unplaced[0]?.refusals[0]?.reason).toBe(
        `needs 8000 MB on one device, but no more than 4000 MB can be had: low keeps 4000 MB (${because})`,
      );
    }
  });
});

describe("neurons that do not answer", () => {
  test("a pinned copy may be there: it is neither loaded elsewhere nor missing", () => {
    const fleet = fleetFromToml(`${ONE}pinned_on = ["a", "b"]\n`, ["a", "b"]);
    const document = plan(fleet, observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [8000] })));
    expect([rowsOf(document), document.unplaced, document.complete]).toEqual([[], [], false]);
    expect(document.unknown).toEqual([{ model_id: "m", replicas: 1, neurons: ["a"] }]);
  });

  test("drain = true gives up its copies", () => {
    const fleet = fleetFromToml(`${ONE}pinned_on = ["a", "b"]\n`, [["a", "drain = true"], "b"]);
    const document = plan(fleet, observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [8000] })));
    expect(rowsOf(document)).toEqual(["load m@b [declared_not_loaded]"]);
  });

  test("a free model is placed on neurons that answer; if it does not fit there, it is unknown, not missing", () => {
    const fleet = fleetFromToml(ONE, ["a", "b"]);
    const fits = plan(fleet, observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [8000] })));
    expect(rowsOf(fits)).toEqual(["load m@b [declared_not_loaded]"]);
    const full = plan(fleet, observedFleet(silentNeuron("a"), observedNeuron("b", { devices: [2000] })));
    expect([rowsOf(full), full.unplaced, full.unknown.length]).toEqual([[], [], 1]);
  });

  test("the problem is in the plan, and nothing is said about its content", () => {
    const fleet = fleetFromToml(ONE, ["a"]);
    const document = plan(fleet, observedFleet(silentNeuron("a", "no answer within 5 s")));
    expect(document.neurons[0]).toEqual({
      name: "a",
      endpoint: "http://a:13131",
      reachable: false,
      problem: "no answer within 5 s",
      drain: false,
      generation: null,
      observation_digest: null,
      status: null,
      harnesses: [],
      models: [],
      disk_free_bytes: null,
      devices: [],
    });
  });
});

test("a plan survives being saved", () => {
  const fleet = fleetFromToml(ONE, ["a", "b"]);
  const document = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] }), silentNeuron("b")));
  expect(planDocumentSchema.parse(JSON.parse(JSON.stringify(document)))).toEqual(document);
});

test("the spec of a load has the hash that the declared block has, whatever its devices", () => {
  const fleet = fleetFromToml(ONE, ["a"]);
  const [change] = plan(fleet, observedFleet(observedNeuron("a", { devices: [8000] }))).changes;
  expect(change?.spec === null || change === undefined ? "" : specHash(change.spec)).toBe(
    declaredHash(fleet, "m"),
  );
});
