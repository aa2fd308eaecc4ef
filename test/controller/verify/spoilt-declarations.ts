import { snapshotOfFleet } from "../../../src/controller/observe/fleet-snapshots.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { fleetFromToml, observedFleet, observedNeuron, plan } from "../observed-fleet-builders.ts";
import type { GoodPlan, Mutation } from "./spoilt-plans.ts";

/** A branch that moves an alias, opens the gateway and adds a key. */
export function redeclared(): GoodPlan {
  const models = '[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 4000\n[[models]]\nid = "n"\nvram_mb = 4000\n';
  const key = `[[keys]]\nid = "ci"\nhash = "sha256:${"0".repeat(64)}"\n`;
  const base = fleetFromToml(`${models}[aliases]\nlarge = "m"\n`, ["a"]);
  const fleet = fleetFromToml(
    `${models}${key}[aliases]\nlarge = "n"\n[gateway]\nlisten = "0.0.0.0:31313"\n`,
    ["a"],
  );
  const observed = observedFleet(observedNeuron("a", { devices: [8000] }));
  const revision = { commit: null, dirty: false, path: "." };
  const document = plan(fleet, observed, {
    base: { fleet: base, fleetDigest: "b".repeat(64), revision, observed },
  });
  return { plan: document, snapshot: snapshotOfFleet("home", observed) };
}

const declaredRow = (plan: PlanDocument, id: string): PlanDocument["declaration"]["changes"][number] => {
  const found = plan.declaration.changes.find((change) => change.id === id);
  if (found === undefined) throw new Error(id);
  return found;
};

/** Settings that differ, and do not hang together. */
export const DECLARATION_MUTATIONS: readonly Mutation[] = [
  [
    "structure",
    "a moved alias goes where it was",
    redeclared(),
    (plan) => {
      for (const field of declaredRow(plan, "aliases large").fields) field.to = field.from;
    },
  ],
  [
    "structure",
    "the hash of a key is shown",
    redeclared(),
    (plan) => {
      declaredRow(plan, "keys ci").fields.push({ key: "hash", from: null, to: "0".repeat(64) });
    },
  ],
  [
    "structure",
    "differences from nothing",
    redeclared(),
    (plan) => {
      plan.declaration.compared_with = null;
    },
  ],
];
