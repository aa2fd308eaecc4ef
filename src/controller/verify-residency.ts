import type { FleetSnapshot } from "../protocol/fleet-snapshot.ts";
import type { DeclaredModel, PlanChange, PlanDocument } from "../protocol/plan-document.ts";
import { bringsCopyUp, Findings, takesCopyDown } from "./verify-findings.ts";
import { settingsHash } from "./verify-rules.ts";

/** A copy: which settings it has, and on which devices it stands. */
interface Copy {
  readonly specHash: string;
  readonly devices: readonly number[];
}

/** Neuron to model to copy. */
type Residency = Map<string, Map<string, Copy>>;

/** One copy per neuron at every step, nothing of others touched, every declared copy accounted for in the end. */
export function verifyResidency(plan: PlanDocument, snapshot: FleetSnapshot | undefined): Findings {
  const found = new Findings();
  const residency = residencyBefore(plan);
  const byHand = loadedByHand(snapshot);
  for (const change of plan.changes) carryOut(found, residency, change);
  for (const change of plan.changes.filter(takesCopyDown)) {
    const isDeclared = plan.declared.some(
      (model) => model.model_id === change.model_id && model.replicas > 0,
    );
    const isTheirs = byHand.has(`${change.model_id}@${change.neuron}`) && !isDeclared;
    found.expect(!isTheirs, "untouchable", {
      where: change.id,
      message: "takes down what a person loaded by hand",
    });
  }
  for (const model of plan.declared) verifyAccount(found, { plan, model, residency, byHand });
  verifyAssignments(found, plan, residency);
  return found;
}

function residencyBefore(plan: PlanDocument): Residency {
  return new Map(
    plan.neurons.map((neuron) => [
      neuron.name,
      new Map(
        neuron.models
          .filter((model) => model.status !== "unloading")
          .map((model) => [model.model_id, { specHash: model.spec_hash, devices: model.devices }]),
      ),
    ]),
  );
}

function loadedByHand(snapshot: FleetSnapshot | undefined): Set<string> {
  const copies = (snapshot?.neurons ?? []).flatMap((neuron) =>
    neuron.reachable
      ? neuron.models
          .filter((model) => model.origin === "manual")
          .map((model) => `${model.id}@${neuron.name}`)
      : [],
  );
  return new Set(copies);
}

function carryOut(found: Findings, residency: Residency, change: PlanChange): void {
  const where = change.id;
  const copies = residency.get(change.neuron) ?? new Map<string, Copy>();
  if (takesCopyDown(change)) {
    found.expect(copies.has(change.model_id), "one_copy", {
      where,
      message: "takes down a copy that is not there",
    });
    copies.delete(change.model_id);
  }
  if (!bringsCopyUp(change) || change.spec === null) return;
  found.expect(!copies.has(change.model_id), "one_copy", {
    where,
    message: "loads a model that the neuron holds already",
  });
  copies.set(change.model_id, { specHash: settingsHash(change.spec), devices: change.devices });
}

interface Account {
  readonly plan: PlanDocument;
  readonly model: DeclaredModel;
  readonly residency: Residency;
  readonly byHand: ReadonlySet<string>;
}

/** Copies as declared, copies that may be on silent neurons and copies given up add up to what is declared. */
function verifyAccount(found: Findings, { plan, model, residency, byHand }: Account): void {
  const id = model.model_id;
  const isOutside = plan.targets.length > 0 && !plan.targets.includes(id);
  const isDeferred = plan.deferred.some((change) => change.model_id === id);
  if (model.replicas === 0 || isOutside || isDeferred) return;
  const places = [...residency].flatMap(([neuron, copies]) => {
    const copy = copies.get(id);
    return copy === undefined ? [] : [{ neuron, copy }];
  });
  const asDeclared = places.filter(({ copy }) => copy.specHash === model.spec_hash).length;
  const silent = plan.unknown.find(({ model_id }) => model_id === id)?.replicas ?? 0;
  const missing = plan.unplaced.find(({ model_id }) => model_id === id)?.missing_replicas ?? 0;
  found.expect(asDeclared + silent + missing >= model.replicas, "accounting", {
    where: id,
    message:
      `declares ${model.replicas} copies; ${asDeclared} stand as declared in the end, ${silent} may be on silent ` +
      `neurons, ${missing} are said to be missing`,
  });
  const managed = places.filter(
    ({ neuron }) => !byHand.has(`${id}@${neuron}`) && !isLeftAlone(plan, id, neuron),
  );
  found.expect(managed.length <= model.replicas, "accounting", {
    where: id,
    message: `declares ${model.replicas} copies, and ${managed.length} are left in the end`,
  });
}

const isLeftAlone = (plan: PlanDocument, modelId: string, neuron: string): boolean =>
  plan.left_alone.some((row) => row.model_id === modelId && row.neuron === neuron);

/** Where the plan says that a copy ends up, there is one. */
function verifyAssignments(found: Findings, plan: PlanDocument, residency: Residency): void {
  if (plan.targets.length > 0 || plan.deferred.length > 0) return;
  for (const assignment of plan.assignments) {
    const copy = residency.get(assignment.neuron)?.get(assignment.model_id);
    found.expect(copy !== undefined, "accounting", {
      where: assignment.model_id,
      message: `is assigned to ${assignment.neuron}, where no copy is in the end`,
    });
  }
}
