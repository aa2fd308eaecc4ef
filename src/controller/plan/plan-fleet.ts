import { by } from "../../core/order.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { canonicalDigest } from "../../protocol/canonical-digest.ts";
import {
  PLAN_FORMAT_VERSION,
  type DeclaredModel,
  type PlanChange,
  type PlanDocument,
  type PlanRevision,
} from "../../protocol/plan-document.ts";
import { comparePlans } from "./compare.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import { snapshotDigest, snapshotOfFleet } from "../observe/fleet-snapshots.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import type { PlacementHint } from "../place/board/placement.ts";
import { explainUnplaced, planAssignment, planGap } from "../place/explain/words.ts";
import type { FormerProtections } from "../intent/former-protections.ts";
import { copyKey } from "./diff.ts";
import { planNeuron } from "./neurons.ts";
import { freeMemory, planRounds, type PlanRounds } from "./rounds.ts";
import { planRows } from "./rows.ts";
import { survivalOf } from "./survival.ts";
import { confineToTargets } from "./targets.ts";
import type { JudgedCopy } from "../intent/present-copies.ts";
import { RemedyTrials } from "./remedy-trials.ts";
import { fleetAfter, memoryStepsOf, simulateSteps, type Overrun, type Simulation } from "./simulate.ts";
import { forecast, type Forecast } from "../schedule/forecast.ts";
import { unloadGuard } from "./unload-guard.ts";

/** Desired state and where it comes from. */
export interface PlanSource {
  readonly fleet: Fleet;
  readonly fleetDigest: string;
  readonly revision: PlanRevision;
}

export interface PlanInput extends PlanSource {
  readonly observed: ObservedFleet;
  /** Of the cortex that plans. */
  readonly cortexVersion?: string | undefined;
  /** Set when the observation was read from a snapshot. */
  readonly snapshotDigest?: string | undefined;
  /** Confine the plan to these models and what their changes depend on. */
  readonly targets?: readonly string[] | undefined;
  /** Plan this revision too, on the same look at the neurons that it declares, and say what is caused by the difference. */
  readonly base?: (PlanSource & { readonly observed: ObservedFleet }) | undefined;
  /** Models without a block whose last block had `protect = true`, or may have had it. */
  readonly formerlyProtected?: FormerProtections | undefined;
  /** What a solver found out about the placement of this fleet. */
  readonly hint?: PlacementHint | undefined;
  /** "skip": neither what the death of each neuron would cost nor trials of remedies, for callers that only want the changes. */
  readonly whatIf?: "skip" | undefined;
}

/** Neurons that apply changes at once. */
const PARALLELISM = 10;

/** Everything that differs between the fleet files and the fleet, as rows in an order that can be carried out. */
export function planFleet(input: PlanInput): PlanDocument {
  const document = planOne(input);
  if (input.base === undefined) return withDigest(document);
  const base = planOne({ ...input, ...input.base, hint: undefined, whatIf: "skip" });
  return withDigest(comparePlans(document, base));
}

type Undigested = Omit<PlanDocument, "digest">;

const withDigest = (document: Undigested): PlanDocument => {
  const { format_version, ...rest } = document;
  return { format_version, digest: canonicalDigest(document), ...rest };
};

function planOne(input: PlanInput): Undigested {
  const { fleet, observed } = input;
  const found = planRounds(fleet, observed, {
    ...input.hint,
    formerlyProtected: input.formerlyProtected,
  });
  const rounds =
    input.whatIf === "skip"
      ? found
      : { ...found, placement: new RemedyTrials(fleet, observed).proven(found.placement) };
  const { steps, deferred, outside } = confineToTargets(rounds.transition, {
    targets: input.targets ?? [],
    free: freeMemory(observed),
  });
  const predicted = forecast({
    steps,
    parallelism: PARALLELISM,
    serving: servingCopies(observed),
    declared: new Set(fleet.models.filter(({ replicas }) => replicas > 0).map(({ id }) => id)),
  });
  return assemble(input, { ...rounds, transition: { steps, deferred }, outside, predicted });
}

interface PlanParts extends PlanRounds {
  /** Changes outside of the targets, those among them that have to wait. */
  readonly outside: number;
  readonly predicted: Forecast;
}

function assemble(input: PlanInput, parts: PlanParts): Undigested {
  const { fleet, observed } = input;
  const { desired, placement, transition } = parts;
  const changes = planRows(transition.steps, { forecast: parts.predicted, observed, desired });
  const simulation = simulateSteps(observed, memoryStepsOf(observed, changes));
  const neurons = planNeurons(input, simulation);
  const problems = simulation.overruns.map(overrunText);
  const isTarget = ({ model_id }: { readonly model_id: string }): boolean =>
    input.targets === undefined || input.targets.length === 0 || input.targets.includes(model_id);
  const allUnplaced = explainUnplaced(placement);
  const unplaced = allUnplaced.filter(isTarget);
  const unknown = placement.unknown.filter(isTarget);
  const openOutside = allUnplaced.length + placement.unknown.length - unplaced.length - unknown.length;
  const outside = parts.outside + openOutside;
  const deferred = transition.deferred.map(({ draft: { change }, reason }) => ({
    id: change.id,
    model_id: change.model_id,
    reason,
  }));
  return {
    format_version: PLAN_FORMAT_VERSION,
    cortex_version: input.cortexVersion ?? "unknown",
    fleet: fleet.fleet.name,
    revision: input.revision,
    fleet_digest: input.fleetDigest,
    observation: observationOf(input),
    applyable: problems.length === 0 && changes.length > 0,
    complete: [unplaced, unknown, deferred].every((rows) => rows.length === 0) && outside === 0,
    errored: problems.length > 0,
    problems,
    targets: [...(input.targets ?? [])].toSorted(),
    outside_targets: outside,
    comparison: null,
    declared: declaredModels(desired),
    neurons,
    changes,
    unchanged: parts.unchanged,
    unload_guard: unloadGuard(neurons, changes, fleet.gitops.max_unload_percent),
    unplaced,
    unknown,
    deferred,
    left_alone: leftAlone(parts.copies, changes),
    placement: planGap(placement.gap),
    assignments: placement.assignments.map((assignment) =>
      planAssignment({ ...assignment, reason: placement.explain(assignment) }),
    ),
    schedule: parts.predicted.schedule,
    survival:
      input.whatIf === "skip"
        ? { neurons: null, remark: null }
        : survivalOf(fleet, fleetAfter(observed, changes)),
    traffic: observed.traffic === undefined ? null : { window_secs: observed.traffic.windowSecs },
  };
}

function observationOf({ fleet, observed, snapshotDigest: digest }: PlanInput): PlanDocument["observation"] {
  return {
    digest: digest ?? snapshotDigest(snapshotOfFleet(fleet.fleet.name, observed)),
    source: digest === undefined ? "neurons" : "snapshot",
    taken_at_ms: observed.observedAtMs,
  };
}

const overrunText = ({ step, neuron, device, usedMb, totalMb }: Overrun): string =>
  `${step} would bring device ${device} of ${neuron} to ${usedMb} MB of ${totalMb} MB`;

function declaredModels(desired: ReadonlyMap<string, DesiredModel>): DeclaredModel[] {
  return [...desired.values()]
    .map(({ block, specHash, priority, need }) => ({
      model_id: block.id,
      replicas: block.replicas,
      pinned_on: block.pinned_on.toSorted(),
      min_devices: need.minDevices,
      min_device_vram_mb: need.minDeviceVramMb,
      residency_priority: priority,
      protect: block.protect,
      spec_hash: specHash,
    }))
    .toSorted(by(({ model_id }) => model_id));
}

function planNeurons({ fleet, observed }: PlanInput, simulation: Simulation): PlanDocument["neurons"] {
  const blocks = new Map(fleet.neurons.map((block) => [block.name, block]));
  return observed.neurons
    .map((neuron) => planNeuron(neuron, blocks.get(neuron.name), simulation))
    .toSorted(by(({ name }) => name));
}

function servingCopies(observed: ObservedFleet): Map<string, string[]> {
  const serving = new Map<string, string[]>();
  for (const { name, models } of reachableNeurons(observed)) {
    for (const { id, status } of models)
      if (status === "loaded") serving.set(id, [...(serving.get(id) ?? []), name]);
  }
  return serving;
}

/** A later round may find a use for a copy that was nobody's in the first. */
function leftAlone(
  copies: readonly JudgedCopy[],
  changes: readonly PlanChange[],
): PlanDocument["left_alone"] {
  const touched = new Set(changes.map((change) => copyKey(change.model_id, change.neuron)));
  return copies
    .filter(({ resident, neuron }) => !touched.has(copyKey(resident.id, neuron.name)))
    .flatMap(({ resident, neuron, standing }) =>
      standing.kind === "left_alone"
        ? [{ model_id: resident.id, neuron: neuron.name, reason: standing.reason }]
        : [],
    )
    .toSorted(by((copy) => copyKey(copy.model_id, copy.neuron)));
}
