import type { ModelInLoad } from "./loading/scheduler-state.ts";

/** "loading m on n (loading 40 %), place 3 of 60". */
export function waitingInWords(
  modelId: string,
  load: ModelInLoad | undefined,
  place: { readonly position: number; readonly waiting: number } | undefined,
): string {
  const where = place === undefined ? "" : `, place ${place.position} of ${place.waiting}`;
  if (load === undefined) return `waiting for ${modelId}${where}`;
  const percent = typeof load.progress === "number" ? ` ${Math.round(load.progress * 100)} %` : "";
  const step = load.jobState == null ? "" : ` (${load.jobState}${percent})`;
  return `loading ${modelId} on ${load.neuron}${step}${where}`;
}
