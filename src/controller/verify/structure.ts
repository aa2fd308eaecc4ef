import { createHash } from "node:crypto";
import type { PlanChange, PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";
import { Findings } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";

/** The document hangs together: its digest, its ids, its order, its flags. */
export function verifyStructure(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  const { digest, ...rest } = plan;
  const where = "document";
  found.expect(digestOf(rest) === digest, "digest", { where, message: "was changed after it was written" });
  const seen = new Map<string, PlanChange>();
  for (const change of plan.changes) {
    verifyRow(found, change, index.neuron(change.neuron));
    found.expect(!seen.has(change.id), "structure", { where: change.id, message: "is listed twice" });
    for (const id of change.depends_on) verifyDependency(found, change, { id, earlier: seen.get(id) });
    seen.set(change.id, change);
  }
  verifyFlags(found, plan);
  return found;
}

/** SHA-256 over JSON with sorted keys. */
export function digestOf(value: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(value)))
    .digest("hex");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.entries(value).filter(([, inner]) => inner !== undefined);
  keys.sort(([left], [right]) => (left < right ? -1 : 1));
  // A record without prototype: a key such as __proto__ stays a key.
  const record = Object.create(null) as Record<string, unknown>;
  for (const [key, inner] of keys) record[key] = sorted(inner);
  return record;
}

const ACTIONS = { load: "load", unload: "unload", replace: "unload,load" } as const;

function verifyRow(found: Findings, change: PlanChange, neuron: PlanNeuron | undefined): void {
  const where = change.id;
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "structure", { where, message });
  };
  const id = `${change.kind} ${change.model_id}@${change.neuron}`;
  const names = [id, `${id} again`, `${id} a third time`];
  expect(names.includes(where), "has an id that says something else");
  expect(
    change.actions.join(",") === ACTIONS[change.kind],
    `acts ${change.actions.join(", ")} as a ${change.kind}`,
  );
  expect(new Set(change.devices).size === change.devices.length, "names a device twice");
  expect(change.devices.length === change.device_vram_mb.length, "does not say what each device gives");
  expect(
    (change.spec === null) === (change.kind === "unload"),
    "has settings where it loads nothing, or none",
  );
  expect(change.kind !== "load" || change.vram_before_mb === 0, "loads and says that it held memory before");
  expect(
    change.kind !== "unload" || change.vram_after_mb === 0,
    "unloads and says that it holds memory after",
  );
  if (change.spec !== null) {
    expect(change.spec.model_id === change.model_id, `loads ${change.spec.model_id}`);
    expect(
      change.spec.devices?.join(",") === change.devices.join(","),
      "loads onto other devices than it says",
    );
    const total = change.device_vram_mb.reduce((sum, mb) => sum + mb, 0);
    expect(total === change.vram_after_mb, "takes another amount than its devices add up to");
  }
  found.expect(neuron?.reachable === true, "untouchable", {
    where,
    message: "is on a neuron that did not answer",
  });
  const known = change.devices.every(
    (index) => neuron?.devices.some((device) => device.index === index) === true,
  );
  expect(known, "names a device that the neuron does not have");
}

function verifyDependency(
  found: Findings,
  change: PlanChange,
  { id, earlier }: { readonly id: string; readonly earlier: PlanChange | undefined },
): void {
  const where = change.id;
  found.expect(earlier !== undefined, "order", {
    where,
    message: `depends on ${id}, which does not come before it`,
  });
  if (earlier === undefined) return;
  found.expect(earlier.wave < change.wave, "order", { where, message: `is in no later wave than ${id}` });
}

function verifyFlags(found: Findings, plan: PlanDocument): void {
  const where = "document";
  const expect = (holds: boolean, message: string): void => {
    found.expect(holds, "flags", { where, message });
  };
  expect(plan.errored === plan.problems.length > 0, "says errored without a problem, or the other way round");
  expect(
    plan.applyable === (!plan.errored && plan.changes.length > 0),
    "says applyable and is not, or is and does not",
  );
  expect(
    plan.targets.length > 0 || plan.outside_targets === 0,
    "says that changes are outside of targets, and has none",
  );
  const open = plan.unplaced.length + plan.unknown.length + plan.deferred.length + plan.outside_targets;
  const isSeen = plan.neurons.length === 0 || plan.neurons.some(({ reachable }) => reachable);
  expect(plan.complete === (open === 0 && isSeen), "says complete and is not, or is and does not");
}
