import type { PlanReason } from "../../protocol/plan-document.ts";
import {
  isUnload,
  type DeferredDraft,
  type FreeMemory,
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
  const own = deferred.filter(({ draft }) => targets.includes(draft.change.model_id));
  return {
    steps: split.steps,
    deferred: [...own, ...split.deferred],
    outside: steps.length - inside.length + deferred.length - own.length,
  };
}

function neededBy(steps: readonly ScheduledStep[], targets: readonly string[]): ScheduledStep[] {
  const byId = new Map(steps.map((step) => [step.draft.change.id, step]));
  const kept = new Set<string>();
  const open: ScheduledStep[] = steps.filter(({ draft }) => targets.includes(draft.change.model_id));
  const places = new Map(steps.map((step, place) => [step, place]));
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (kept.has(step.draft.change.id)) continue;
    kept.add(step.draft.change.id);
    open.push(...steps.slice((places.get(step) ?? 0) + 1).filter((later) => bringsBack(step, later)));
    for (const id of step.dependsOn) {
      const needed = byId.get(id);
      if (needed !== undefined) open.push(needed);
    }
  }
  return steps.filter(({ draft }) => kept.has(draft.change.id));
}

/** A copy that gives way comes back somewhere, and one that was parked goes home. */
function bringsBack(step: ScheduledStep, later: ScheduledStep): boolean {
  const { change } = step.draft;
  const { model_id: modelId, kind, action_reason: reason } = later.draft.change;
  const leaves = change.kind === "unload" && !LEAVES_FOR_GOOD.has(change.action_reason);
  const isParked = change.action_reason === "parked";
  if (modelId !== change.model_id || !(leaves || isParked)) return false;
  if (kind === "load") return COMES_BACK.has(reason);
  return reason === "parking_ended" || (isParked && kind === "unload" && !LEAVES_FOR_GOOD.has(reason));
}

const COMES_BACK: ReadonlySet<PlanReason> = new Set(["moved", "spec_changed"]);
const LEAVES_FOR_GOOD: ReadonlySet<PlanReason> = new Set([
  "loaded_not_declared",
  "replicas_lowered",
  "parking_ended",
]);

const CROWDED_OUT =
  "without the changes outside of the targets, memory is split so that it does not fit; plan without --target";

function splitAnew(steps: readonly ScheduledStep[], free: FreeMemory): TransitionSchedule {
  const memory = new TransitionMemory(free);
  const fitting: ScheduledStep[] = [];
  const deferred: DeferredDraft[] = [];
  const missing = new Set<string>();
  for (const step of steps) {
    const draft = memory.settled(step.draft);
    const lacksRoom = !isUnload(draft) && memory.lacking(draft).length > 0;
    if (lacksRoom || step.dependsOn.some((id) => missing.has(id))) {
      missing.add(draft.change.id);
      deferred.push({ draft, reason: CROWDED_OUT, retry: false });
      continue;
    }
    memory.carryOut(draft);
    fitting.push({ ...step, draft });
  }
  return { steps: fitting, deferred };
}
