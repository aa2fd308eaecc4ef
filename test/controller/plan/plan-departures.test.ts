import { expect, test } from "vitest";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  rowsOf,
  silentNeuron,
} from "../observed-fleet-builders.ts";

test("a surplus copy that placement wants just where it is stays, and is said to stay", () => {
  const fleet = fleetFromToml(
    '[[models]]\nid = "big"\nreplicas = 1\nvram_mb = 9000\npinned_on = ["d"]\n[[models]]\nid = "m"\nreplicas = 1\n',
    ["b", "d"],
  );
  const specHash = declaredHash(fleet, "m");
  const usedLast = residentModel({ id: "m", vramMb: 4000, measured: false, specHash, lastUsedMs: 9 });
  const document = plan(
    fleet,
    observedFleet(
      observedNeuron("b", {
        devices: [4000],
        residents: [residentModel({ id: "m", vramMb: 4000, measured: false, specHash })],
      }),
      observedNeuron("d", { devices: [12_000], residents: [usedLast] }),
    ),
  );
  expect(rowsOf(document)).toEqual(["unload m@d [makes_room]", "load big@d [declared_not_loaded]"]);
  expect(document.unchanged).toBe(1);
  expect(document.assignments.find(({ model_id }) => model_id === "m")).toMatchObject({
    neuron: "b",
    status: "kept",
    moved_from: null,
    rule: "stays",
  });
  expect(verifyPlan(document).findings).toEqual([]);
});

const HIGH_AND_LOW =
  '[[models]]\nid = "high"\nreplicas = 1\nvram_mb = 7000\nresidency_priority = 200\n[[models]]\nid = "low"\nreplicas = 1\nvram_mb = 7000\n';

test("nothing that serves gives way to a copy that may be on a neuron that does not answer", () => {
  const fleet = fleetFromToml(HIGH_AND_LOW, ["a", "b"]);
  const low = residentModel({ id: "low", vramMb: 7000, specHash: declaredHash(fleet, "low") });
  const serving = observedNeuron("b", { devices: [8000], residents: [low] });
  const document = plan(fleet, observedFleet(silentNeuron("a"), serving));
  expect([rowsOf(document), document.unplaced]).toEqual([[], []]);
  expect(document.unknown).toEqual([{ model_id: "high", replicas: 1, neurons: ["a"] }]);
  expect(verifyPlan(document).findings).toEqual([]);
  // What is seen to serve is what the next death would cost.
  expect(document.survival.neurons).toEqual([{ neuron: "b", lost: ["low"], reduced: [], reloaded: [] }]);
  // Given up for lost, it is placed like any other.
  const givenUp = fleetFromToml(HIGH_AND_LOW, [["a", "drain = true"], "b"]);
  expect(rowsOf(plan(givenUp, observedFleet(silentNeuron("a"), serving)))).toEqual([
    "unload low@b [makes_room]",
    "load high@b [declared_not_loaded]",
  ]);
});

test("no more copies are in doubt than neurons are silent", () => {
  const fleet = fleetFromToml(HIGH_AND_LOW.replace("replicas = 1", "replicas = 3"), ["a", "b", "c"]);
  const low = residentModel({ id: "low", vramMb: 7000, specHash: declaredHash(fleet, "low") });
  const document = plan(
    fleet,
    observedFleet(
      silentNeuron("a"),
      observedNeuron("b", { devices: [8000], residents: [low] }),
      observedNeuron("c", { devices: [8000] }),
    ),
  );
  expect(rowsOf(document)).toEqual([
    "load high@c [declared_not_loaded]",
    "unload low@b [makes_room]",
    "load high@b [declared_not_loaded]",
  ]);
  expect(document.unknown).toEqual([{ model_id: "high", replicas: 1, neurons: ["a"] }]);
  expect(verifyPlan(document).findings).toEqual([]);
});

test("where memory is free it is loaded again all the same", () => {
  const fleet = fleetFromToml(HIGH_AND_LOW, ["a", "b"]);
  const low = residentModel({ id: "low", vramMb: 7000, specHash: declaredHash(fleet, "low") });
  const roomy = observedNeuron("b", { devices: [16_000], residents: [low] });
  const document = plan(fleet, observedFleet(silentNeuron("a"), roomy));
  expect(rowsOf(document)).toEqual(["load high@b [declared_not_loaded]"]);
});

test("a copy that was seen and lost its place is missing, not unknown", () => {
  const fleet = fleetFromToml(HIGH_AND_LOW.replace('id = "high"', 'id = "high"\npinned_on = ["b"]'), [
    "a",
    "b",
  ]);
  const low = residentModel({ id: "low", vramMb: 7000, specHash: declaredHash(fleet, "low") });
  const serving = observedNeuron("b", { devices: [8000], residents: [low] });
  const document = plan(fleet, observedFleet(silentNeuron("a"), serving));
  expect(rowsOf(document)).toEqual(["unload low@b [makes_room]", "load high@b [declared_not_loaded]"]);
  expect([document.unknown, document.unplaced.map(({ model_id }) => model_id)]).toEqual([[], ["low"]]);
});

test("what no block declares any more leaves under the protection of its last block", () => {
  const fleet = fleetFromToml('[[models]]\nid = "other"\n', ["a"]);
  const observed = observedFleet(
    observedNeuron("a", { devices: [8000], residents: [residentModel({ id: "old", vramMb: 10 })] }),
  );
  const document = plan(fleet, observed, { formerlyProtected: new Map([["old", "protected"]]) });
  expect(document.changes).toMatchObject([
    {
      id: "unload old@a",
      protected: true,
      detail: "no [[models]] block declares it, and its last one had protect = true",
    },
  ]);
  const unknown = plan(fleet, observed, { formerlyProtected: new Map([["old", "history_cut_off"]]) });
  expect(unknown.changes[0]).toMatchObject({ protected: true });
  expect(unknown.changes[0]?.detail).toContain("git fetch --unshallow");
  expect(plan(fleet, observed).changes[0]?.protected).toBe(false);
});

const onTwoDevices = (id: string): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = 1000\nmin_devices = 2\nprotect = true\n`;

const outdated = (id: string, vramMb: number, devices: readonly number[]) =>
  residentModel({ id, vramMb, devices, specHash: "old" });

test("a surplus copy stays until the one that stays is back on its other devices", () => {
  const fleet = fleetFromToml(
    `${onTwoDevices("m2")}${onTwoDevices("m4")}[[models]]\nid = "m5"\nreplicas = 1\nvram_mb = 15000\n`,
    ["a", "d"],
  );
  const document = plan(
    fleet,
    observedFleet(
      observedNeuron("a", {
        devices: [16_000, 16_000],
        residents: [outdated("m2", 7700, [1]), outdated("m7", 7000, [0])],
      }),
      observedNeuron("d", {
        devices: [16_000, 16_000],
        residents: [outdated("m2", 7700, [0]), outdated("m4", 7000, [1]), outdated("m6", 7000, [1])],
      }),
    ),
  );
  // m5 keeps neuron a busy for so long that by the predicted seconds m2 is back before; nothing made them wait.
  const surplus = document.changes.find(({ action_reason: reason }) => reason === "replicas_lowered");
  expect(surplus?.depends_on.filter((id) => id.startsWith("load m2@"))).toHaveLength(1);
  expect(verifyPlan(document).findings).toEqual([]);
});
