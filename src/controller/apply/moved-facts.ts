import type { PlanChange, PlanNeuron } from "../../protocol/plan-document.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { foreignFleet } from "../observe/foreign-copies.ts";
import type { NeuronFacts } from "../observe/neuron-facts.ts";
import { crowdedRows, type NeuronNow } from "./crowded-rows.ts";

/**
 * What became different on a neuron since the plan was made, in words, as far as the plan is about it: the machine, the
 * models that the plan changes there, and the memory that its rows need. Other models come and go as clients ask for them.
 * What the plan's own changes bring about is no difference: an apply that was cut off can go on where it stopped.
 */
export function movedFacts(planned: PlanNeuron, now: NeuronNow, own: NeuronPlan): string[] {
  const about = new Set(own.changes.map((change) => change.model_id));
  const expected = { ...planned, models: planned.models.map((model) => onceLoaded(model, now)) };
  const done = ownEffects(expected, now, own);
  const facts = [...modelFacts(expected, now, { done, about }), ...machineFacts(expected, now)];
  return facts.length > 0 ? facts : crowdedRows(planned, now, own.changes);
}

/** What a plan does on one neuron, and whose copies are its own. */
export interface NeuronPlan {
  readonly changes: readonly PlanChange[];
  readonly ownFleets: readonly string[];
}

/** A load that was under way when the plan was made may have ended. */
function onceLoaded<Model extends FactsModel>(before: Model, now: NeuronFacts): Model {
  const after = now.models.find(({ model_id }) => model_id === before.model_id);
  const isSame =
    before.status === "loading" &&
    after?.status === "loaded" &&
    after.spec_hash === before.spec_hash &&
    after.origin === before.origin;
  return isSame ? { ...before, status: after.status, devices: [...after.devices] } : before;
}

/**
 * Models on which nothing is left to do: they are no longer as the plan saw them, but as its last change of each
 * leaves them. Doing a replace again would take down what serves.
 */
export function finishedModels(planned: PlanNeuron, now: NeuronFacts, own: NeuronPlan): ReadonlySet<string> {
  const lastChanges = new Map(own.changes.map((change) => [change.model_id, change]));
  const finished = [...lastChanges.values()].filter((change) => {
    const before = planned.models.find(({ model_id }) => model_id === change.model_id);
    const after = now.models.find(({ model_id }) => model_id === change.model_id);
    if (modelFact("", before, after).length === 0 || change.spec === null) return false;
    const isThere = after?.status === "loaded" && isOurs(after, own);
    return isThere && after.spec_hash === specHash(change.spec) && sameDevices(after.devices, change.devices);
  });
  return new Set(finished.map((change) => change.model_id));
}

const sameDevices = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((index) => right.includes(index));

type FactsModel = Pick<
  NeuronFacts["models"][number],
  "model_id" | "spec_hash" | "status" | "origin" | "fleet" | "devices"
>;

const isOurs = ({ origin, fleet }: FactsModel, { ownFleets }: NeuronPlan): boolean =>
  origin !== "manual" &&
  foreignFleet({ kind: origin, ...(fleet === null ? {} : { fleet }) }, ownFleets) === undefined;

/** Models that are no longer as the plan saw them, but as one of its own changes leaves them. */
function ownEffects(planned: PlanNeuron, now: NeuronFacts, own: NeuronPlan): Set<string> {
  const done = new Set<string>();
  for (const change of own.changes) {
    const before = planned.models.find(({ model_id }) => model_id === change.model_id);
    const after = now.models.find(({ model_id }) => model_id === change.model_id);
    if (modelFact("", before, after).length === 0) continue;
    const isGone = after === undefined || after.status === "unloading";
    const isUnloaded = isGone && change.actions.includes("unload");
    const isLoaded =
      after !== undefined &&
      isOurs(after, own) &&
      change.spec !== null &&
      after.spec_hash === specHash(change.spec);
    if (isUnloaded || isLoaded) done.add(change.model_id);
  }
  return done;
}

function modelFacts(
  planned: PlanNeuron,
  now: NeuronFacts,
  { done, about }: { readonly done: ReadonlySet<string>; readonly about: ReadonlySet<string> },
): string[] {
  const before = new Map(planned.models.map((model) => [model.model_id, model]));
  const after = new Map(now.models.map((model) => [model.model_id, model]));
  const ids = [...new Set([...before.keys(), ...after.keys()])].filter(
    (id) => !done.has(id) && about.has(id),
  );
  return ids.flatMap((id) => modelFact(id, before.get(id), after.get(id)));
}

function modelFact(id: string, before: FactsModel | undefined, after: FactsModel | undefined): string[] {
  // What was on its way out already has left, as the plan took for granted.
  if (after === undefined)
    return before === undefined || before.status === "unloading" ? [] : [`${id} is gone`];
  const whose = after.fleet === null ? after.origin : `${after.origin}, fleet ${after.fleet}`;
  if (before === undefined) return [`${id} is ${after.status} (${whose})`];
  if (before.spec_hash !== after.spec_hash) return [`${id} has other settings`];
  if (before.status !== after.status) return [`${id} went from ${before.status} to ${after.status}`];
  if (before.origin !== after.origin || before.fleet !== after.fleet)
    return [`${id} was loaded anew (${whose})`];
  if (!sameDevices(before.devices, after.devices)) return [`${id} is on other devices`];
  return [];
}

function machineFacts(planned: PlanNeuron, now: NeuronFacts): string[] {
  const facts: string[] = [];
  if (planned.status !== now.status)
    facts.push(`it went from ${planned.status ?? "unknown"} to ${now.status}`);
  for (const device of planned.devices) {
    const same = now.devices.find(({ index }) => index === device.index);
    if (same === undefined) facts.push(`device ${device.index} (${device.name}) is gone`);
    else if (same.name !== device.name || same.kind !== device.kind) {
      facts.push(`device ${device.index} is a ${same.name} now`);
    } else if (same.vram_total_mb !== device.vram_total_mb) {
      facts.push(`device ${device.index} has ${same.vram_total_mb} MB, not ${device.vram_total_mb} MB`);
    }
  }
  const known = new Set(planned.devices.map(({ index }) => index));
  const added = now.devices.filter(({ index }) => !known.has(index));
  facts.push(...added.map((device) => `device ${device.index} (${device.name}) is new`));
  const lost = planned.harnesses.filter((harness) => !now.harnesses.includes(harness));
  if (lost.length > 0) facts.push(`it no longer offers ${lost.join(", ")}`);
  return facts;
}
