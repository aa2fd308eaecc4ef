import { by } from "../../core/order.ts";
import { comparePlans } from "./compare.ts";
import { snapshotDigest, snapshotOfFleet } from "../observe/fleet-snapshots.ts";
import { copyKey, reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import { compareDeclarations } from "../declaration/compare-declarations.ts";
import type { PlanDeclaration } from "../../protocol/declaration/plan-declaration.ts";
import { ownFleets } from "../observe/foreign-copies.ts";
import { knownModels } from "../observe/known-models.ts";
import type { CopyLeftAlone, FleetPlan } from "./fleet-plan.ts";
import type { PlanRounds } from "./plan-rounds.ts";
import { freeMemory, planRounds } from "./rounds.ts";
import type { PlanInput } from "./plan-input.ts";
import { planRows, type PlanRow } from "./rows.ts";
import { survivalOf } from "./survival.ts";
import { confineToTargets, leaveOut } from "./targets.ts";
import type { ExplainedAssignment, Placement } from "../place/board/placement.ts";
import type { JudgedCopy } from "../intent/present-copies.ts";
import { RemedyTrials } from "./remedy-trials.ts";
import { memoryStepsOf, simulateSteps, type Overrun } from "./simulate.ts";
import { forecast, type Forecast } from "../schedule/forecast.ts";
import { unloadGuard } from "./unload-guard.ts";

/** Neurons that apply changes at once. */
const PARALLELISM = 10;

/** Everything that differs between the fleet files and the fleet, as rows in an order that can be carried out. */
export function drawPlan(input: PlanInput): FleetPlan {
  const plan = planOne(input);
  if (input.base === undefined) return plan;
  const base = planOne({ ...input, ...input.base, hint: undefined, whatIf: "skip" });
  return comparePlans(plan, base);
}

function planOne(input: PlanInput): FleetPlan {
  const { fleet, observed } = input;
  const found = planRounds(fleet, observed, {
    ...input.hint,
    formerlyProtected: input.formerlyProtected,
  });
  const rounds =
    input.whatIf === "skip"
      ? found
      : { ...found, placement: new RemedyTrials(fleet, observed).proven(found.placement) };
  const { targets = [], excepted } = input;
  const free = freeMemory(observed);
  const { steps, deferred, outside } =
    excepted === undefined
      ? confineToTargets(rounds.transition, { targets, free })
      : leaveOut(rounds.transition, { excepted, free });
  const predicted = forecast({
    steps,
    parallelism: PARALLELISM,
    serving: servingCopies(observed),
    declared: new Set(fleet.models.filter(({ replicas }) => replicas > 0).map(({ id }) => id)),
  });
  return assemble(input, { ...rounds, transition: { steps, deferred }, outside, predicted });
}

function targetsOf({ targets = [], excepted, fleet, observed }: PlanInput): string[] {
  if (excepted === undefined) return [...targets];
  return knownModels(fleet, observed).filter((id) => !excepted.includes(id));
}

interface PlanParts extends PlanRounds {
  /** Changes outside of the targets, those among them that have to wait. */
  readonly outside: number;
  readonly predicted: Forecast;
}

function assemble(input: PlanInput, parts: PlanParts): FleetPlan {
  const { fleet, observed } = input;
  const { desired, placement, transition, predicted } = parts;
  const { excepted } = input;
  const declaration = compareDeclarations(excepted === undefined ? input : { ...input, targets: undefined });
  const rows = withRenames(planRows(transition.steps, { forecast: predicted, observed }), declaration);
  const simulation = simulateSteps(observed, memoryStepsOf(observed, rows));
  const targets = targetsOf(input).toSorted();
  const isTarget = ({ modelId }: { readonly modelId: string }): boolean =>
    targets.length === 0 || targets.includes(modelId);
  const unplaced = placement.explanations.filter(isTarget);
  const unknown = placement.unknown.filter(isTarget);
  const openOutside =
    placement.explanations.length + placement.unknown.length - unplaced.length - unknown.length;
  return {
    cortexVersion: input.cortexVersion ?? "unknown",
    fleet: fleet.fleet.name,
    takesOver: fleet.fleet.takes_over,
    revision: input.revision,
    fleetDigest: input.fleetDigest,
    observed,
    observation: observationOf(input),
    targets,
    excepted: excepted?.toSorted(),
    outsideTargets: parts.outside + openOutside,
    problems: simulation.overruns.map(overrunText),
    comparison: null,
    declaration,
    desired,
    neuronBlocks: new Map(fleet.neurons.map((block) => [block.name, block])),
    simulation,
    rows,
    unchanged: parts.unchanged,
    unloadGuard: unloadGuard(observed, rows, {
      own: ownFleets(fleet),
      limitPercent: fleet.gitops.max_unload_percent,
    }),
    unplaced,
    unknown,
    deferred: transition.deferred.map(({ draft: { change }, reason }) => ({
      id: change.id,
      modelId: change.modelId,
      reason,
    })),
    leftAlone: leftAlone(parts.copies, rows),
    gap: placement.gap,
    assignments: explained(placement, rows),
    outlook: predicted.outlook,
    survival:
      input.whatIf === "skip"
        ? { neurons: null, remark: null }
        : survivalOf(fleet, { before: observed, changes: rows }),
  };
}

/**
 * Assignments with what their copies hold in the end. Placement counts whoever leaves as gone; a neuron splits a model by
 * what is free when its row is carried out, and then a copy that moves away may still be there.
 */
function explained(placement: Placement, rows: readonly PlanRow[]): ExplainedAssignment[] {
  const arrivals = new Map(
    rows.filter(({ kind }) => kind !== "unload").map((row) => [copyKey(row.modelId, row.neuron), row]),
  );
  return placement.assignments.map((assignment) => {
    const { devices, deviceMib } = arrivals.get(copyKey(assignment.modelId, assignment.neuron)) ?? assignment;
    return { ...assignment, devices, deviceMib, reason: placement.explain(assignment) };
  });
}

const observationOf = ({ fleet, observed, snapshotDigest: digest }: PlanInput): FleetPlan["observation"] => ({
  digest: digest ?? snapshotDigest(snapshotOfFleet(fleet.fleet.name, observed)),
  source: digest === undefined ? "neurons" : "snapshot",
});

const overrunText = ({ step, neuron, device, usedMib, totalMib }: Overrun): string =>
  `${step} would bring device ${device} of ${neuron} to ${usedMib} MB of ${totalMib} MB`;

function servingCopies(observed: ObservedFleet): Map<string, string[]> {
  const serving = new Map<string, string[]>();
  for (const { name, models } of reachableNeurons(observed)) {
    for (const { id, status } of models)
      if (status === "loaded") serving.set(id, [...(serving.get(id) ?? []), name]);
  }
  return serving;
}

/** Two rows that are one model under another name: neither is the loss or the arrival that it looks like. */
function withRenames(rows: readonly PlanRow[], { changes }: PlanDeclaration): readonly PlanRow[] {
  const renames = changes.filter(({ table, kind }) => table === "models" && kind === "renamed");
  return rows.map((row) => {
    const come = renames.find(({ name }) => name === row.modelId);
    const gone = renames.find(({ renamed_from: former }) => former === row.modelId);
    if (come !== undefined)
      return { ...row, detail: `${row.detail}; renamed from ${come.renamed_from ?? ""}` };
    return gone === undefined ? row : { ...row, detail: `${row.detail}; renamed to ${gone.name ?? ""}` };
  });
}

/** A later round may find a use for a copy that was nobody's in the first. */
function leftAlone(copies: readonly JudgedCopy[], rows: readonly PlanRow[]): CopyLeftAlone[] {
  const touched = new Set(rows.map((row) => copyKey(row.modelId, row.neuron)));
  return copies
    .filter(({ resident, neuron }) => !touched.has(copyKey(resident.id, neuron.name)))
    .flatMap(({ resident, neuron, standing }) =>
      standing.kind === "left_alone" ? [{ modelId: resident.id, neuron: neuron.name, ...standing }] : [],
    )
    .toSorted(by((copy) => copyKey(copy.modelId, copy.neuron)));
}
