import type { PlanChange, PlanDocument, PlanNeuron } from "../../protocol/plan-document.ts";

/** How much of what is loaded a plan takes away without putting it back elsewhere. */
export function unloadGuard(
  neurons: readonly PlanNeuron[],
  changes: readonly PlanChange[],
  limitPercent: number,
): PlanDocument["unload_guard"] {
  const present = neurons.flatMap(({ models }) => models.filter(({ status }) => status !== "unloading"));
  const balance = Map.groupBy(changes, ({ model_id: modelId }) => modelId);
  const lost = [...new Set(present.map(({ model_id: modelId }) => modelId))].reduce(
    (total, modelId) => total + lostBy(balance.get(modelId) ?? []),
    0,
  );
  const percent = present.length === 0 ? 0 : Math.ceil((100 * lost) / present.length);
  const facts = { copies_lost: lost, percent };
  return {
    copies_loaded: present.length,
    ...facts,
    limit_percent: limitPercent,
    exceeded: exceedsLimit(facts, limitPercent),
  };
}

/** Copies fewer in the end than there were; a replacement comes back. */
const lostBy = (changes: readonly PlanChange[]): number =>
  Math.max(
    0,
    changes.reduce((lost, { kind }) => lost + Number(kind === "unload") - Number(kind === "load"), 0),
  );

/** One copy alone is no mass, unless nothing at all may be lost. */
export const exceedsLimit = (
  { copies_lost: lost, percent }: Pick<PlanDocument["unload_guard"], "copies_lost" | "percent">,
  limitPercent: number,
): boolean => percent > limitPercent && (lost > 1 || limitPercent === 0);
