import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { loadedByCortex } from "../intent/desired-models.ts";
import type { JudgedCopy } from "../intent/present-copies.ts";
import { copyKey, reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import type { Assignment, Placement } from "../place/board/placement.ts";
import { copiesShort } from "../place/explain/refusals.ts";
import { withMoreWanted } from "../place/prove/gap.ts";
import {
  isUnload,
  roomFor,
  type DeferredDraft,
  type Draft,
  type ScheduledStep,
  type TransitionSchedule,
} from "../schedule/draft.ts";
import type { PlanRounds } from "./plan-rounds.ts";

/*
 * Changes that the order of a transition leaves without room. Others may have left their places for them by then, or the
 * copies that they were to renew are down. So the fleet is asked about once more as if they were not wanted: without the
 * new copies, and with loaded ones as they should be, whatever they are; such a copy may still make room. One that would
 * be late once more stays where it is, as if it were somebody else's.
 */

/** A fleet on paper. */
export interface Wish {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
  /** `model@neuron` of copies whose settings are taken for the declared ones. */
  readonly taken: ReadonlySet<string>;
  /** Copies that are not asked for. */
  readonly fewer: number;
}

/** The question without the changes that are late; undefined where none of them can be done without. */
export function withoutLate(
  { transition, copies }: Pick<PlanRounds, "transition" | "copies">,
  { fleet, observed }: Pick<Wish, "fleet" | "observed">,
): Wish | undefined {
  const late = lateArrivals(transition);
  const replicas = new Map(fleet.models.map((block) => [block.id, block.replicas]));
  const edits = new Map<string, (resident: ResidentModel) => ResidentModel>();
  const taken = new Set<string>();
  let fewer = 0;
  for (const draft of late) {
    const { modelId } = draft.change;
    const copy = copyOf(draft, { transition, copies, isHeld: (key) => edits.has(key) });
    const isOutdated = copy?.standing.kind === "kept" && !copy.standing.current;
    if (copy !== undefined) {
      const key = copyKey(modelId, copy.neuron.name);
      edits.set(key, isOutdated ? withHash(copy) : asSomebodyElses);
      if (isOutdated) taken.add(key);
      if (copy.standing.kind === "kept") continue;
    }
    const wanted = replicas.get(modelId) ?? 0;
    replicas.set(modelId, Math.max(0, wanted - 1));
    fewer += Math.min(1, wanted);
  }
  if (edits.size + fewer === 0) return undefined;
  const models = fleet.models.map((block) => ({ ...block, replicas: replicas.get(block.id) ?? 0 }));
  const neurons = observed.neurons.map((neuron) => {
    if (!neuron.reachable) return neuron;
    const edited = neuron.models.map((model) => edits.get(copyKey(model.id, neuron.name))?.(model) ?? model);
    return { ...neuron, models: edited };
  });
  return { fleet: { ...fleet, models }, observed: { ...observed, neurons }, taken, fewer };
}

const lateArrivals = ({ deferred }: TransitionSchedule): Draft[] =>
  deferred.map(({ draft }) => draft).filter((draft) => !isUnload(draft));

const comingModels = ({ steps }: TransitionSchedule): ReadonlySet<string> =>
  new Set(steps.filter(({ draft }) => !isUnload(draft)).map(({ draft }) => draft.change.modelId));

/** Departures for the sake of a model of which no copy comes, and of copies whose own new settings have to wait. */
function leftInVain({ transition, copies }: Pick<PlanRounds, "transition" | "copies">): ScheduledStep[] {
  const coming = comingModels(transition);
  const late = new Set(lateArrivals(transition).map(({ change }) => change.modelId));
  const outdated = new Set(
    copies
      .filter(({ standing }) => standing.kind === "kept" && !standing.current)
      .map(({ resident, neuron }) => copyKey(resident.id, neuron.name)),
  );
  return transition.steps.filter(({ draft }) => {
    const { modelId, neuron } = draft.change;
    if (draft.inFavourOf !== undefined) return !coming.has(draft.inFavourOf);
    const isRenewal = isUnload(draft) && outdated.has(copyKey(modelId, neuron));
    return isRenewal && late.has(modelId) && !coming.has(modelId);
  });
}

/** The same steps; a copy that left for one that does not come made room for whoever waits for its memory. */
export function withTrueReasons<Round extends Pick<PlanRounds, "transition">>(round: Round): Round {
  const { steps } = round.transition;
  const coming = comingModels(round.transition);
  const renamed = steps.map((step): ScheduledStep => {
    const { inFavourOf, change } = step.draft;
    if (inFavourOf === undefined || coming.has(inFavourOf)) return step;
    const heir = steps.find(
      ({ draft, dependsOn }) =>
        !isUnload(draft) && draft.change.modelId !== change.modelId && dependsOn.includes(change.id),
    )?.draft.change.modelId;
    if (heir === undefined) return step;
    const detail = change.detail.replace(roomFor(inFavourOf), roomFor(heir));
    return { ...step, draft: { ...step.draft, inFavourOf: heir, change: { ...change, detail } } };
  });
  const isSame = renamed.every((step, position) => step === steps[position]);
  return isSame ? round : { ...round, transition: { ...round.transition, steps: renamed } };
}

const withHash =
  ({ model }: JudgedCopy) =>
  (resident: ResidentModel): ResidentModel =>
    model === undefined ? resident : { ...resident, spec_hash: model.specHash };

const asSomebodyElses = (resident: ResidentModel): ResidentModel => ({
  ...resident,
  origin: { kind: "manual" },
});

/** The loaded copy whose place the late one would take: the one on its neuron, else one that leaves for it. */
function copyOf(
  { change }: Draft,
  context: Pick<PlanRounds, "transition" | "copies"> & { readonly isHeld: (key: string) => boolean },
): JudgedCopy | undefined {
  const { steps, deferred } = context.transition;
  const leaving = new Set(
    [...steps, ...deferred]
      .map(({ draft }) => draft)
      .filter(({ frees, role }) => frees.size > 0 && role !== "ends_parking")
      .map((draft) => copyKey(draft.change.modelId, draft.change.neuron)),
  );
  const candidates = context.copies
    .filter(({ resident, standing }) => {
      const isWanted = standing.kind === "kept" || (standing.kind === "leaves" && standing.stillWanted);
      return resident.id === change.modelId && isWanted && loadedByCortex(resident);
    })
    .filter(({ resident, neuron }) => {
      const key = copyKey(resident.id, neuron.name);
      return leaving.has(key) && !context.isHeld(key);
    });
  return candidates.find(({ neuron }) => neuron.name === change.neuron) ?? candidates[0];
}

const NO_ROOM_MADE = "what would make its room has to wait for another plan";

/** What was planned on paper, as it is: copies keep old settings, and what did not come is deferred. */
export function withLate(
  without: PlanRounds,
  { found, wish }: { readonly found: PlanRounds; readonly wish: Wish },
): PlanRounds {
  const { placement, transition } = without;
  const isTaken = ({ modelId, neuron }: Assignment): boolean => wish.taken.has(copyKey(modelId, neuron));
  const assignments = placement.assignments.map((copy): Assignment =>
    copy.status === "kept" && isTaken(copy) ? { ...copy, status: "outdated" } : copy,
  );
  const short = shortOf(found.placement);
  const explanations = placement.explanations.flatMap((unplaced) => {
    const before = found.placement.explanations.find(({ modelId }) => modelId === unplaced.modelId);
    if (copiesShort(unplaced) < (short.get(unplaced.modelId) ?? 0)) return [unplaced];
    // That the copies of the late ones are in the way is true on paper only.
    return before === undefined ? [] : [before];
  });
  const deferred = mergedDeferred(without, found);
  return {
    ...without,
    desired: found.desired,
    copies: found.copies,
    placement: {
      ...placement,
      assignments,
      explanations,
      outdated: assignments
        .filter(({ status }) => status === "outdated")
        .map(({ modelId, neuron }) => ({ modelId, neuron })),
      gap: withMoreWanted(placement.gap, wish.fewer),
    },
    transition: { steps: transition.steps, deferred },
    unchanged: assignments.filter(({ status }) => status === "kept").length,
  };
}

const shortOf = ({ explanations }: Placement): ReadonlyMap<string, number> =>
  new Map(explanations.map((unplaced) => [unplaced.modelId, copiesShort(unplaced)]));

/** What either of them defers, and the copies that have a place only once somebody has left for the late ones. */
function mergedDeferred(without: PlanRounds, found: PlanRounds): DeferredDraft[] {
  const short = shortOf(found.placement);
  const missing = without.placement.explanations.filter(
    (unplaced) => copiesShort(unplaced) > (short.get(unplaced.modelId) ?? 0),
  );
  const done = new Set(without.transition.steps.map(({ draft }) => draft.change.id));
  const waiting = found.transition.steps
    .filter(
      ({ draft }) => !isUnload(draft) && missing.some(({ modelId }) => modelId === draft.change.modelId),
    )
    .map(({ draft }): DeferredDraft => ({ draft, reason: NO_ROOM_MADE }));
  const all = [...without.transition.deferred, ...found.transition.deferred, ...waiting];
  const byId = new Map(all.toReversed().map((late) => [late.draft.change.id, late]));
  return [...byId.values()].toReversed().filter(({ draft }) => !done.has(draft.change.id));
}

/**
 * Class by class, the highest first: copies that were there and are not any more, models without a copy, copies that
 * are not there, copies that leave in vain, and copies in other settings than declared.
 */
export function shortcomings(
  round: Pick<PlanRounds, "desired" | "transition" | "copies">,
  { before, after }: { readonly before: ObservedFleet; readonly after: ObservedFleet },
): readonly number[] {
  const { desired } = round;
  const inVain = Map.groupBy(leftInVain(round), ({ draft }) => draft.priority);
  const [had, have] = [residentsById(before), residentsById(after)];
  const classes = Map.groupBy(desired.values(), ({ priority }) => priority);
  return [...classes.keys()]
    .toSorted((left, right) => right - left)
    .flatMap((priority) => {
      const fates = (classes.get(priority) ?? []).map(({ block: { id, replicas }, specHash }) => {
        const hashes = have(id);
        const copies = Math.min(hashes.length, replicas);
        const current = Math.min(hashes.filter((hash) => hash === specHash).length, replicas);
        const lost = Math.min(had(id).length, replicas) - copies;
        return { lost, missing: replicas - copies, isNone: copies === 0, outdated: copies - current };
      });
      const total = (count: (fate: (typeof fates)[number]) => number): number =>
        fates.reduce((sum, fate) => sum + Math.max(0, count(fate)), 0);
      return [
        total(({ lost }) => lost),
        total(({ missing, isNone }) => (isNone ? Math.min(1, missing) : 0)),
        total(({ missing }) => missing),
        inVain.get(priority)?.length ?? 0,
        total(({ outdated }) => outdated),
      ];
    });
}

/** What the copies of a model were loaded with. */
function residentsById(observed: ObservedFleet): (modelId: string) => readonly string[] {
  const copies = Map.groupBy(
    reachableNeurons(observed).flatMap(({ models }) => models.filter(({ status }) => status !== "unloading")),
    ({ id }) => id,
  );
  return (modelId) => (copies.get(modelId) ?? []).map(({ spec_hash: hash }) => hash);
}
