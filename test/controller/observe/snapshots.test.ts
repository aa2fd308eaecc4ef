import { expect, test } from "vitest";
import { printPlan } from "../../../src/cli/print/print-plan.ts";
import { printPlanMarkdown } from "../../../src/cli/print/print-plan-markdown.ts";
import {
  observedFromSnapshot,
  snapshotDigest,
  snapshotOfFleet,
} from "../../../src/controller/observe/fleet-snapshots.ts";
import type { ObservedFleet } from "../../../src/controller/observe/observed-fleet.ts";
import { planFleet } from "../../../src/controller/plan/plan-fleet.ts";
import { fleetSnapshotSchema } from "../../../src/protocol/fleet-snapshot.ts";
import { CANONICAL_CASES, canonicalFiles, canonicalFleet, canonicalObservation } from "../canonical-fleet.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  residentModel,
  silentNeuron,
} from "../observed-fleet-builders.ts";

const revision = { commit: null, dirty: false, path: "." };

test.each(Object.entries(CANONICAL_CASES))(
  "a plan on the snapshot of %s is the plan on the fleet",
  (_name, situation) => {
    const fleet = canonicalFleet(canonicalFiles(situation));
    const observed = canonicalObservation(fleet, situation);
    const snapshot = snapshotOfFleet("home", observed);
    const source = { fleet, fleetDigest: "d", revision };
    const live = planFleet({ ...source, observed });
    const offline = planFleet({
      ...source,
      observed: observedFromSnapshot(fleetSnapshotSchema.parse(JSON.parse(JSON.stringify(snapshot))), fleet),
      snapshotDigest: snapshotDigest(snapshot),
    });
    expect({ ...offline, digest: "", observation: { ...offline.observation, source: "neurons" } }).toEqual({
      ...live,
      digest: "",
    });
  },
);

test("nothing that opens a door is in a snapshot", () => {
  const neuron = observedNeuron("a", {
    devices: [8000],
    residents: [residentModel({ id: "m", vramMb: 10 })],
  });
  const observed = observedFleet(
    {
      ...neuron,
      endpoint: "http://CANARY-user:CANARY-password@a.internal:13131",
      discovery: { ...neuron.discovery, hostname: "CANARY-host", kernel: "CANARY-kernel" },
      models: neuron.models.map((model) => ({
        ...model,
        pid: 424_242,
        origin: { kind: "request", ref: "CANARY-request" },
        servable: { ok: false, reason: "CANARY-reason", detail: "CANARY-detail" },
        spec: {
          model_id: "m",
          harness: "openai",
          parallel: 1,
          min_devices: 1,
          source: "file:/CANARY/path",
          token_file: "/CANARY/token",
        },
      })),
    },
    silentNeuron("b", "connect to http://CANARY-user:CANARY-password@b.internal failed"),
  );
  const text = JSON.stringify(snapshotOfFleet("home", observed));
  expect(text).not.toContain("CANARY");
  expect(text).not.toContain("424242");
  expect(text).not.toContain("internal:13131");
  expect(text).toContain('"m"');
});

const endpoint = (name: string): string => `http://CANARY-user:CANARY-password@${name}.internal:13131`;

test("no password is in a plan, however it is shown", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a", "b"]);
  const document = planFleet({
    fleet,
    fleetDigest: "d",
    revision,
    observed: observedFleet(
      { ...observedNeuron("a", { devices: [8000] }), endpoint: endpoint("a") },
      { ...silentNeuron("b", `${endpoint("b")} refuses`), endpoint: endpoint("b") },
    ),
  });
  for (const text of [
    JSON.stringify(document),
    printPlan(document, { colour: true }),
    printPlanMarkdown(document),
  ]) {
    expect(text).not.toContain("CANARY");
    expect(text).toContain("b");
  }
  expect(document.neurons.map((neuron) => neuron.endpoint)).toEqual([
    "http://a.internal:13131",
    "http://b.internal:13131",
  ]);
});

const digestOf = (...neurons: ObservedFleet["neurons"]) =>
  snapshotDigest(snapshotOfFleet("home", observedFleet(...neurons)));

test("the digest is of what was seen, in whatever order it was seen", () => {
  const [first, second] = [
    observedNeuron("a", { devices: [8000] }),
    observedNeuron("b", { devices: [4000] }),
  ];
  expect(digestOf(first, second)).toBe(digestOf(second, first));
  expect(digestOf(first, second)).not.toBe(digestOf(first, { ...second, generation: 7 }));
});

test("a neuron that the snapshot does not know is one that did not answer; one that is no longer declared is left out", () => {
  const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["b", "c"]);
  const seen = observedFleet(
    observedNeuron("a", { devices: [8000] }),
    observedNeuron("b", { devices: [4000] }),
  );
  const observed = observedFromSnapshot(snapshotOfFleet("home", seen), fleet);
  expect(observed.neurons.map((neuron) => [neuron.name, neuron.reachable ? "" : neuron.problem])).toEqual([
    ["b", ""],
    ["c", "is not in the snapshot"],
  ]);
});
