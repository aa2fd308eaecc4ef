import { withEntry, withoutEntry } from "../view/entry-map.ts";
import { copyKey, type Scheduler } from "./scheduler-state.ts";

/*
 * What clients wish about how long a model stays. A wish decides who goes first among copies that may go anyway: never
 * whether one may, so that nothing is wished against declared residents, priorities or `idle_unload_secs`. The last wish
 * counts; that a model may go is over with the next request, since somebody uses it.
 */

export function withWish(state: Scheduler, modelId: string, keepMs: number): Scheduler {
  return { ...state, wishes: withEntry(state.wishes, modelId, keepMs) };
}

/** A request has come for the model. */
export function withoutFarewell(state: Scheduler, modelId: string): Scheduler {
  if (state.wishes.get(modelId) !== 0) return state;
  return { ...state, wishes: withoutEntry(state.wishes, modelId) };
}

export const mayGoAtOnce = (state: Scheduler, modelId: string): boolean => state.wishes.get(modelId) === 0;

/** How much longer an idle copy is wished to stay; 0 where nobody wishes it. */
export function wishedMs(
  state: Scheduler,
  copy: { readonly neuron: string; readonly modelId: string; readonly atMs: number },
): number {
  const { neuron, modelId, atMs } = copy;
  const keepMs = state.wishes.get(modelId) ?? 0;
  const idleSinceMs = state.copies.get(copyKey(neuron, modelId))?.idleSinceMs ?? atMs;
  return Math.max(0, idleSinceMs + keepMs - atMs);
}
