import { present } from "../../core/present.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { desiredModels } from "../intent/desired-models.ts";
import { copyKey, reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import { placeWithoutDoubt } from "../place/doubtful-copies.ts";
import type { Assignment, PlacementInput, PlacementOptions, WhyHere } from "../place/board/placement.ts";
import { compareCosts } from "../place/board/compare-costs.ts";
import type { FormerProtections } from "../intent/former-protections.ts";
import { diffPlacement } from "./diff.ts";
import { copiesShort } from "../place/explain/refusals.ts";
import { parkingOptions } from "./parking.ts";
import { judgeCopies } from "../intent/present-copies.ts";
import { shortcomings, withLate, withoutLate, withTrueReasons } from "./late-changes.ts";
import type { PlanRounds } from "./plan-rounds.ts";
import { fleetAfter, memoryInUse } from "./simulate.ts";
import { namesOf, type FreeMemory, type ScheduledStep } from "../schedule/draft.ts";
import { scheduleTransition } from "../schedule/schedule.ts";

/*
 * From desired and observed state to the steps between them. One look is enough when every copy finds its place. When
 * some do not, the fleet that the steps leave behind may offer them one (a wide model splits differently over what is
 * free then, and a search that starts elsewhere sees other things), so the same question is put to that fleet on paper.
 * Where it knows better, the way there is planned from the start; where there is no such way, what it answers is
 * appended. Planning again after an apply therefore finds nothing to do.
 */
const MOST_ROUNDS = 4;

export interface PlanRoundsOptions extends PlacementOptions {
  /** Models without a block whose last block had `protect = true`, or may have had it. */
  readonly formerlyProtected?: FormerProtections | undefined;
}

/** Trials do without explanations. */
export function planRounds(
  fleet: Fleet,
  observed: ObservedFleet,
  options: PlanRoundsOptions = {},
): PlanRounds {
  return plannedAt(0, { fleet, observed, options });
}

type Question = { readonly options: PlanRoundsOptions } & Pick<PlacementInput, "fleet" | "observed">;

/** How often a question without late changes is asked of the answer to another one; each asks for up to six rounds. */
const DEEPEST = 2;

function plannedAt(depth: number, question: Question): PlanRounds {
  const { fleet, observed, options } = question;
  const first = planRound(fleet, observed, options);
  const found = withTrueReasons(furtherRounds(first, question));
  if (depth === DEEPEST) return found;
  return [...new Set([found, first])].reduce((best, round) => {
    const other = withoutMovesInVain(round, question, depth + 1);
    return other === undefined ? best : betterOf(best, withTrueReasons(other), observed);
  }, found);
}

function furtherRounds(first: PlanRounds, { fleet, observed, options }: Question): PlanRounds {
  let result = first;
  let after = observed;
  let latest = result.transition.steps;
  for (let round = 1; round < MOST_ROUNDS && mayImprove(result, latest); round += 1) {
    after = afterSteps(after, latest);
    const trial = { ...options, suggestion: undefined, proof: undefined };
    // Mostly there is nothing to gain, and then nobody reads why.
    if (planRound(fleet, after, { ...trial, nameOnly: true }).transition.steps.length === 0) break;
    const next = planRound(fleet, after, trial);
    const direct = planRound(fleet, observed, {
      ...options,
      suggestion: next.placement.assignments,
    });
    if (openCopies(direct) < openCopies(result)) {
      result = direct;
      after = observed;
      latest = direct.transition.steps;
      continue;
    }
    const steps = following(result.transition.steps, { later: next.transition.steps, mostTimes: 2 });
    if (steps.length === 0) break;
    latest = steps;
    result = joinRounds(result, next, steps);
  }
  return result;
}

/**
 * Nobody leaves its place for a copy that does not come. Where the order of the changes leaves no room for a copy, the
 * fleet is planned as if that change were not wanted: no new copy, or the loaded one as it is. The change stays deferred.
 * Undefined where nobody left, and where a later plan would change what this one makes.
 */
function withoutMovesInVain(round: PlanRounds, question: Question, depth: number): PlanRounds | undefined {
  const { fleet, observed, options } = question;
  const isDisturbed = round.transition.steps.some(({ draft }) => draft.role === "hands_over");
  const wish = isDisturbed ? withoutLate(round, question) : undefined;
  if (wish === undefined) return undefined;
  const trial = { ...options, suggestion: undefined, proof: undefined };
  const without = withLate(plannedAt(depth, { ...wish, options: trial }), { found: round, wish });
  // With nothing done the next plan is this one.
  if (without.transition.steps.length === 0) return without;
  // What was not asked for on paper may find its room all the same.
  const after = afterSteps(observed, without.transition.steps);
  const next = plannedAt(depth, { fleet, observed: after, options: trial });
  if (next.transition.steps.length === 0) return without;
  const steps = following(without.transition.steps, { later: next.transition.steps, mostTimes: 3 });
  return steps.length === 0 ? undefined : joinRounds(without, next, steps);
}

/** That which leaves less to be wished for; then that in which fewer leave. */
function betterOf(best: PlanRounds, other: PlanRounds, observed: ObservedFleet): PlanRounds {
  const [mine, its] = [other, best].map((round) => {
    const { steps } = round.transition;
    return [
      ...shortcomings(round, { before: observed, after: afterSteps(observed, steps) }),
      steps.filter(({ draft }) => draft.role === "hands_over").length,
    ];
  });
  return compareCosts(mine ?? [], its ?? []) < 0 ? other : best;
}

function mayImprove({ placement, transition }: PlanRounds, latest: readonly ScheduledStep[]): boolean {
  const { deferred } = transition;
  const { explanations, outdated, unknown } = placement;
  const isOpen = explanations.length + outdated.length + unknown.length + deferred.length > 0;
  return isOpen && latest.length > 0;
}

const afterSteps = (observed: ObservedFleet, steps: readonly ScheduledStep[]): ObservedFleet =>
  fleetAfter(
    observed,
    steps.map(({ draft }) => draft.change),
  );

/** Copies that are declared and will not be there as declared. */
const openCopies = ({ placement, transition }: PlanRounds): number =>
  placement.explanations.reduce((total, unplaced) => total + copiesShort(unplaced), 0) +
  placement.unknown.reduce((total, { replicas }) => total + replicas, 0) +
  transition.deferred.length;

function planRound(fleet: Fleet, observed: ObservedFleet, options: PlanRoundsOptions): PlanRounds {
  const desired = desiredModels(fleet, observed);
  const copies = judgeCopies(fleet, observed, desired);
  const placement = placeWithoutDoubt({ fleet, observed, desired, copies, options });
  const { drafts, unchanged, stay } = diffPlacement({
    desired,
    copies,
    placement,
    observed,
    formerlyProtected: options.formerlyProtected,
  });
  const transition = scheduleTransition({
    drafts,
    free: freeMemory(observed),
    parking: parkingOptions(drafts, { fleet, observed, desired }),
    present: new Set(
      reachableNeurons(observed).flatMap(({ name, models }) => models.map(({ id }) => copyKey(id, name))),
    ),
  });
  const assignments = placement.assignments.map((assignment) =>
    stay.has(keyOf(assignment)) ? kept(assignment) : assignment,
  );
  const explain = (assignment: Assignment): WhyHere =>
    stay.has(keyOf(assignment)) ? whyKept(placement.explain(assignment)) : placement.explain(assignment);
  return { desired, copies, placement: { ...placement, assignments, explain }, transition, unchanged };
}

/** Placement saw a copy that leaves and one that comes; on the same devices that is a copy that stays. */
const kept = (assignment: Assignment): Assignment => ({ ...assignment, status: "kept", movedFrom: null });

const whyKept = (why: WhyHere): WhyHere => ({
  ...why,
  rule: "stays",
  runnerUp: null,
  ruledOut: null,
  movedFor: null,
  displaces: [],
});

const keyOf = ({ modelId, neuron }: Assignment): string => copyKey(modelId, neuron);

/**
 * Later steps of a neuron, or of a model, count on all earlier ones. A spread copy may have to be loaded twice: others
 * found room beside the shares that it had at first, and it leaves them for one that finds room beside its second ones.
 * A step that would come more often than it may ends the game.
 */
function following(
  earlier: readonly ScheduledStep[],
  { later, mostTimes }: { readonly later: readonly ScheduledStep[]; readonly mostTimes: number },
): readonly ScheduledStep[] {
  const taken = new Set(earlier.map(({ draft }) => draft.change.id));
  const names = new Map<string, string>();
  for (const { draft } of later) {
    const name = namesOf(draft)
      .slice(0, mostTimes)
      .find((free) => !taken.has(free));
    if (name === undefined) return [];
    taken.add(name);
    names.set(draft.change.id, name);
  }
  const nameOf = (id: string): string => present(names.get(id), "the step", id);
  return later.map(({ draft, dependsOn, ...step }) => {
    const { id, neuron, modelId } = draft.change;
    const before = earlier
      .filter(({ draft: { change } }) => change.neuron === neuron || change.modelId === modelId)
      .map((other) => other.draft.change.id);
    return {
      ...step,
      draft: { ...draft, change: { ...draft.change, id: nameOf(id) } },
      dependsOn: [...new Set([...before, ...dependsOn.map(nameOf)])].toSorted(),
    };
  });
}

function joinRounds(first: PlanRounds, next: PlanRounds, steps: readonly ScheduledStep[]): PlanRounds {
  const placedBefore = new Map(
    first.placement.assignments
      .filter(({ status }) => status !== "kept" && status !== "outdated")
      .map((assignment) => [keyOf(assignment), assignment]),
  );
  const assignments = next.placement.assignments.map((assignment): Assignment => {
    const before = placedBefore.get(keyOf(assignment));
    return assignment.status === "kept" && before !== undefined
      ? before
      : sinceBeginning(assignment, placedBefore);
  });
  const earlier = new Set(assignments.filter((copy) => placedBefore.get(keyOf(copy)) === copy).map(keyOf));
  const explain = (copy: Assignment): WhyHere =>
    (earlier.has(keyOf(copy)) ? first : next).placement.explain(copy);
  return {
    ...first,
    placement: { ...next.placement, assignments, explain },
    transition: {
      steps: [...first.transition.steps, ...steps],
      deferred: next.transition.deferred,
    },
    // A later round may move what the first one left alone.
    unchanged: assignments.filter(({ status }) => status === "kept").length,
  };
}

/** A copy that the first round brought somewhere, and a later one moves on, was never there as far as anybody can see. */
function sinceBeginning(assignment: Assignment, placedBefore: ReadonlyMap<string, Assignment>): Assignment {
  const { modelId, movedFrom } = assignment;
  const before = movedFrom === null ? undefined : placedBefore.get(copyKey(modelId, movedFrom));
  if (before === undefined || before.status === "renewed") return assignment;
  return { ...assignment, status: before.status, movedFrom: before.movedFrom };
}

/** What is free before anything happens; negative where a driver reports more in use than a device has. */
export function freeMemory(observed: ObservedFleet): FreeMemory {
  return new Map(
    reachableNeurons(observed).map((neuron) => {
      const used = memoryInUse(neuron);
      const free = neuron.discovery.devices.map(
        (device) =>
          [
            device.index,
            device.vram_total_mb - present(used.get(device.index), "the memory of device", device.index),
          ] as const,
      );
      return [neuron.name, new Map(free)];
    }),
  );
}
