import type { ScheduledStep, TransitionSchedule } from "./transition-draft.ts";

/**
 * The part of a transition that concerns some models, with every step that theirs depend on, whatever model that one
 * is about. Leaving the others out keeps memory safe: a step names all that it needs to fit.
 */
export function confineToTargets(
  { steps, deferred }: TransitionSchedule,
  targets: readonly string[],
): TransitionSchedule & { readonly outside: number } {
  if (targets.length === 0) return { steps, deferred, outside: 0 };
  const byId = new Map(steps.map((step) => [step.draft.change.id, step]));
  const kept = new Set<string>();
  const open: ScheduledStep[] = steps.filter(({ draft }) => targets.includes(draft.change.model_id));
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (kept.has(step.draft.change.id)) continue;
    kept.add(step.draft.change.id);
    for (const id of step.dependsOn) {
      const needed = byId.get(id);
      if (needed !== undefined) open.push(needed);
    }
  }
  const inside = steps.filter(({ draft }) => kept.has(draft.change.id));
  return {
    steps: inside,
    deferred: deferred.filter(({ draft }) => targets.includes(draft.change.model_id)),
    outside: steps.length - inside.length,
  };
}
