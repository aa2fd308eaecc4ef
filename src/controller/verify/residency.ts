import type { DeclaredModel, PlanChange, PlanDocument } from "../../protocol/plan-document.ts";
import { bringsCopyUp, Findings, takesCopyDown } from "./findings.ts";
import type { PlanIndex } from "./plan-index.ts";
import { settingsHash } from "./rules.ts";

/** A copy: which settings it has, and on which devices it stands. */
interface Copy {
  readonly specHash: string;
  readonly devices: readonly number[];
}

/** Neuron to model to copy. */
type Residency = Map<string, Map<string, Copy>>;

/** One copy per neuron at every step, nothing of others touched, every declared copy accounted for in the end. */
export function verifyResidency(index: PlanIndex): Findings {
  const { plan } = index;
  const found = new Findings();
  const residency = residencyBefore(plan);
  const byHand = loadedByHand(plan);
  for (const change of plan.changes) carryOut(found, residency, change);
  for (const change of plan.changes.filter(takesCopyDown)) {
    found.expect(!byHand.has(`${change.model_id}@${change.neuron}`), "untouchable", {
      where: change.id,
      message: "takes down what a person loaded by hand",
    });
    const owner = foreignOwner(index, change);
    found.expect(owner === undefined, "untouchable", {
      where: change.id,
      message: `takes down what belongs to the fleet ${owner ?? ""}`,
    });
    found.expect(!index.isLeftAlone(change.model_id, change.neuron), "untouchable", {
      where: change.id,
      message: "takes down what the plan says it leaves alone",
    });
  }
  verifyLeftAlone(found, index);
  const places = placesAfter(residency);
  for (const model of plan.declared)
    verifyAccount(found, { index, model, places: places.get(model.model_id) ?? [], byHand });
  verifyUnknown(found, plan);
  verifyAssignments(found, plan, residency);
  verifyUnchanged(found, index);
  verifyGuard(found, plan);
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

function loadedByHand(plan: PlanDocument): Set<string> {
  const copies = plan.neurons.flatMap((neuron) =>
    neuron.models
      .filter((model) => model.origin === "manual")
      .map((model) => `${model.model_id}@${neuron.name}`),
  );
  return new Set(copies);
}

/** The other fleet that had the copy loaded, which the row takes down. */
function foreignOwner(index: PlanIndex, change: PlanChange): string | undefined {
  const copy = index.copyOn(change.neuron, change.model_id);
  return copy === undefined || isOwn(index.plan, copy) ? undefined : (copy.fleet ?? undefined);
}

const isOwn = (
  plan: PlanDocument,
  { origin, fleet }: PlanDocument["neurons"][number]["models"][number],
): boolean => origin === "manual" || fleet === null || [plan.fleet, ...plan.takes_over].includes(fleet);

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

/** A copy that stands in the end. */
interface PlacedCopy {
  readonly neuron: string;
  readonly copy: Copy;
}

/** By model. */
function placesAfter(residency: Residency): ReadonlyMap<string, readonly PlacedCopy[]> {
  const placed = [...residency].flatMap(([neuron, copies]) =>
    [...copies].map(([id, copy]) => ({ id, neuron, copy })),
  );
  return Map.groupBy(placed, ({ id }) => id);
}

interface Account {
  readonly index: PlanIndex;
  readonly model: DeclaredModel;
  readonly places: readonly PlacedCopy[];
  readonly byHand: ReadonlySet<string>;
}

/** Copies as declared, copies that may be on silent neurons and copies given up add up to what is declared. */
function verifyAccount(found: Findings, { index, model, places, byHand }: Account): void {
  const { plan } = index;
  const id = model.model_id;
  const isOutside = plan.targets.length > 0 && !plan.targets.includes(id);
  const isDeferred = plan.deferred.some((change) => change.model_id === id);
  if (model.replicas === 0 || isOutside || isDeferred) return;
  const asDeclared = places.filter(({ copy }) => copy.specHash === model.spec_hash).length;
  const silent = plan.unknown.find(({ model_id }) => model_id === id)?.replicas ?? 0;
  const missing = plan.unplaced.find(({ model_id }) => model_id === id)?.missing_replicas ?? 0;
  found.expect(asDeclared + silent + missing >= model.replicas, "accounting", {
    where: id,
    message:
      `declares ${model.replicas} copies; ${asDeclared} stand as declared in the end, ${silent} may be on silent ` +
      `neurons, ${missing} are said to be missing`,
  });
  const counted = places.filter(
    ({ neuron, copy }) => copy.specHash === model.spec_hash && !index.isLeftAlone(id, neuron),
  ).length;
  found.expect(missing === 0 || counted + silent + missing <= model.replicas, "accounting", {
    where: id,
    message: `says that ${missing} of ${model.replicas} copies are missing, and ${counted + silent} are not`,
  });
  const managed = places.filter(
    ({ neuron }) => !byHand.has(`${id}@${neuron}`) && !index.isLeftAlone(id, neuron),
  );
  found.expect(managed.length <= model.replicas, "accounting", {
    where: id,
    message: `declares ${model.replicas} copies, and ${managed.length} are left in the end`,
  });
}

/** What is said to be a person's or another fleet's was seen to be so, and all of other fleets is named. */
function verifyLeftAlone(found: Findings, index: PlanIndex): void {
  const { plan } = index;
  const seen = plan.neurons.flatMap(({ name: neuron, models }) => models.map((model) => ({ neuron, model })));
  for (const { model_id: where, neuron, because, fleet } of plan.left_alone) {
    const model = index.copyOn(neuron, where);
    const isSo =
      model !== undefined &&
      (because === "loaded_by_hand"
        ? model.origin === "manual" && fleet === null
        : !isOwn(plan, model) && model.fleet === fleet);
    found.expect(isSo, "accounting", {
      where,
      message: `is not as it is said to be on ${neuron}: ${because}`,
    });
  }
  for (const { neuron, model } of seen) {
    const isNamed = isOwn(plan, model) || index.isLeftAlone(model.model_id, neuron);
    found.expect(isNamed || model.status === "unloading", "accounting", {
      where: model.model_id,
      message: `belongs to the fleet ${model.fleet ?? ""} on ${neuron}, and the plan does not say so`,
    });
  }
}

/** Copies can be unknown only on neurons that did not answer, one on each. */
function verifyUnknown(found: Findings, plan: PlanDocument): void {
  const silent = new Set(plan.neurons.filter(({ reachable }) => !reachable).map(({ name }) => name));
  for (const { model_id: where, replicas, neurons } of plan.unknown) {
    const message = `says that ${replicas} copies may be on ${neurons.join(", ")}`;
    const isPossible = neurons.every((name) => silent.has(name)) && replicas <= neurons.length;
    found.expect(isPossible, "accounting", { where, message });
  }
}

/** Where the plan says that a copy ends up, there is one, on those devices. */
function verifyAssignments(found: Findings, plan: PlanDocument, residency: Residency): void {
  if (plan.targets.length > 0 || plan.deferred.length > 0) return;
  for (const assignment of plan.assignments) {
    const copy = residency.get(assignment.neuron)?.get(assignment.model_id);
    found.expect(copy !== undefined, "accounting", {
      where: assignment.model_id,
      message: `is assigned to ${assignment.neuron}, where no copy is in the end`,
    });
    const stands = copy?.devices.toSorted((left, right) => left - right).join(",");
    found.expect(copy === undefined || stands === assignment.devices.join(","), "accounting", {
      where: assignment.model_id,
      message: `is assigned to other devices of ${assignment.neuron} than it has in the end`,
    });
  }
}

/** How much is taken away for good: fewer copies of a model in the end than there were. */
function verifyGuard(found: Findings, plan: PlanDocument): void {
  const { unload_guard: guard } = plan;
  const ids = plan.neurons.flatMap(({ models }) =>
    models
      .filter((model) => model.status !== "unloading" && isOwn(plan, model))
      .map(({ model_id }) => model_id),
  );
  const lost = [...new Set(ids)].reduce((total, id) => {
    const rows = plan.changes.filter(({ model_id }) => model_id === id);
    const balance = rows.reduce(
      (sum, row) => sum + Number(bringsCopyUp(row)) - Number(takesCopyDown(row)),
      0,
    );
    return total + Math.max(0, -balance);
  }, 0);
  const percent = ids.length === 0 ? 0 : Math.ceil((100 * lost) / ids.length);
  const isOver = percent > guard.limit_percent && (lost > 1 || guard.limit_percent === 0);
  const isSame =
    guard.copies_loaded === ids.length &&
    guard.copies_lost === lost &&
    guard.percent === percent &&
    guard.exceeded === isOver;
  found.expect(isSame, "accounting", {
    where: "document",
    message: `says that ${guard.copies_lost} of ${guard.copies_loaded} loaded copies are lost, and ${lost} of ${ids.length} are`,
  });
}

/** What is said to be unchanged was there before, as declared, and no row touches it. */
function verifyUnchanged(found: Findings, index: PlanIndex): void {
  const { plan } = index;
  if (plan.targets.length > 0) return;
  const kept = plan.assignments.filter(({ status }) => status === "kept");
  for (const { model_id: where, neuron } of kept) {
    const touched = index.rowsOf(where).some((change) => change.neuron === neuron);
    found.expect(!touched, "accounting", { where, message: `is kept on ${neuron} and changed there` });
  }
  found.expect(kept.length === plan.unchanged, "accounting", {
    where: "document",
    message: `says that ${plan.unchanged} copies are unchanged, and ${kept.length} are`,
  });
}
