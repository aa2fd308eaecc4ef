import { present } from "../../core/present.ts";
import {
  isUnload,
  sameModel,
  type DeferredDraft,
  type FreeMemory,
  type Role,
  type ScheduledStep,
  type TransitionSchedule,
} from "../schedule/draft.ts";
import { TransitionMemory } from "../schedule/memory.ts";

/**
 * The part of a transition that concerns some models, with every step that theirs depend on, whatever model that one
 * is about, and what brings back a model that such a step takes down. Leaving the others out keeps memory safe: a step
 * names all that it needs to fit. Only a model on several devices is split otherwise when others stay away, so the
 * splits are worked out anew; a step for which that leaves no room is deferred.
 */
export function confineToTargets(
  { steps, deferred }: TransitionSchedule,
  { targets, free }: { readonly targets: readonly string[]; readonly free: FreeMemory },
): TransitionSchedule & { readonly outside: number } {
  if (targets.length === 0) return { steps, deferred, outside: 0 };
  const inside = neededBy(steps, targets);
  const split = splitAnew(inside, free);
  const own = deferred.filter(({ draft }) => targets.includes(draft.change.modelId));
  return {
    steps: split.steps,
    deferred: [...own, ...split.deferred],
    outside: steps.length - inside.length + deferred.length - own.length,
  };
}

const LEFT_OUT = "it cannot be done without a change that --except leaves out";

/**
 * A transition without the changes of some models, and without what cannot be done when those are not: what depends on them,
 * and what would take a copy down that then does not come back. Memory stays safe for the reason given above.
 */
export function leaveOut(
  { steps, deferred }: TransitionSchedule,
  { excepted, free }: { readonly excepted: readonly string[]; readonly free: FreeMemory },
): TransitionSchedule & { readonly outside: number } {
  const isExcepted = ({ change }: ScheduledStep["draft"]): boolean => excepted.includes(change.modelId);
  const lost = lostWith(steps, isExcepted);
  const isLost = ({ draft }: ScheduledStep): boolean => lost.has(draft.change.id);
  const split = splitAnew(
    steps.filter((step) => !isLost(step)),
    free,
  );
  const waiting = steps
    .filter((step) => isLost(step) && !isExcepted(step.draft))
    .map(({ draft }): DeferredDraft => ({ draft, reason: LEFT_OUT }));
  const own = deferred.filter(({ draft }) => !isExcepted(draft));
  return {
    steps: split.steps,
    deferred: [...own, ...waiting, ...split.deferred],
    outside: steps.filter(({ draft }) => isExcepted(draft)).length + deferred.length - own.length,
  };
}

/** Ids of the steps that are not done when those of some models are not. */
function lostWith(
  steps: readonly ScheduledStep[],
  isExcepted: (draft: ScheduledStep["draft"]) => boolean,
): ReadonlySet<string> {
  const lost = new Set<string>();
  for (let before = -1; lost.size !== before;) {
    before = lost.size;
    for (const [place, step] of steps.entries()) {
      const comesNotBack = steps
        .slice(place + 1)
        .some((later) => lost.has(later.draft.change.id) && bringsBack(step, later));
      if (isExcepted(step.draft) || comesNotBack || step.dependsOn.some((id) => lost.has(id)))
        lost.add(step.draft.change.id);
    }
  }
  return lost;
}

function neededBy(steps: readonly ScheduledStep[], targets: readonly string[]): ScheduledStep[] {
  const byId = new Map(steps.map((step) => [step.draft.change.id, step]));
  const kept = new Set<string>();
  const open: ScheduledStep[] = steps.filter(({ draft }) => targets.includes(draft.change.modelId));
  const places = new Map(steps.map((step, place) => [step, place]));
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (kept.has(step.draft.change.id)) continue;
    kept.add(step.draft.change.id);
    const place = present(places.get(step), "the place of", step.draft.change.id);
    open.push(...steps.slice(place + 1).filter((later) => bringsBack(step, later)));
    open.push(...step.dependsOn.map((id) => present(byId.get(id), "the step", id)));
  }
  return steps.filter(({ draft }) => kept.has(draft.change.id));
}

/** A copy that gives way comes back somewhere, and one that was parked goes home. */
function bringsBack(step: ScheduledStep, later: ScheduledStep): boolean {
  return sameModel(step.draft, later.draft) && (BRINGS_BACK[step.draft.role]?.has(later.draft.role) ?? false);
}

/** By the role of what takes a copy down or parks one: the roles of what belongs to it. */
const BRINGS_BACK: Readonly<Partial<Record<Role, ReadonlySet<Role>>>> = {
  hands_over: new Set(["comes_back", "ends_parking"]),
  parks: new Set(["comes_back", "ends_parking", "hands_over"]),
};

const CROWDED_OUT =
  "without the changes outside of the targets, memory is split so that it does not fit; plan without --target";

function splitAnew(steps: readonly ScheduledStep[], free: FreeMemory): TransitionSchedule {
  const memory = new TransitionMemory(free);
  const fitting: ScheduledStep[] = [];
  const deferred: DeferredDraft[] = [];
  const missing = new Set<string>();
  for (const step of steps) {
    const draft = memory.splitNow(step.draft);
    const lacksRoom = !isUnload(draft) && memory.lacking(draft).length > 0;
    if (lacksRoom || step.dependsOn.some((id) => missing.has(id))) {
      missing.add(draft.change.id);
      deferred.push({ draft, reason: CROWDED_OUT });
      continue;
    }
    memory.carryOut(draft);
    fitting.push({ ...step, draft });
  }
  return { steps: fitting, deferred };
}
