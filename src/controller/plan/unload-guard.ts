import { foreignFleet } from "../observe/foreign-copies.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import type { Change } from "../schedule/draft.ts";

/** What a plan takes away of what is loaded, beside the limit of the fleet files. */
export interface UnloadGuard {
  readonly copiesLoaded: number;
  readonly copiesLost: number;
  /** Rounded up. */
  readonly percent: number;
  readonly limitPercent: number;
  readonly exceeded: boolean;
}

/** How much of what the fleet has loaded a plan takes away without putting it back elsewhere. */
export function unloadGuard(
  observed: ObservedFleet,
  changes: readonly Change[],
  { own, limitPercent }: { readonly own: readonly string[]; readonly limitPercent: number },
): UnloadGuard {
  const loaded = reachableNeurons(observed).flatMap(({ models }) =>
    models.filter(({ status, origin }) => status !== "unloading" && foreignFleet(origin, own) === undefined),
  );
  const byModel = Map.groupBy(changes, ({ modelId }) => modelId);
  const copiesLost = [...new Set(loaded.map(({ id }) => id))].reduce(
    (total, modelId) => total + lostBy(byModel.get(modelId) ?? []),
    0,
  );
  const percent = loaded.length === 0 ? 0 : Math.ceil((100 * copiesLost) / loaded.length);
  const exceeded = exceedsLimit({ copiesLost, percent }, limitPercent);
  return { copiesLoaded: loaded.length, copiesLost, percent, limitPercent, exceeded };
}

/** Copies fewer in the end than there were; a replacement comes back. */
const lostBy = (changes: readonly Change[]): number =>
  Math.max(
    0,
    changes.reduce((lost, { kind }) => lost + Number(kind === "unload") - Number(kind === "load"), 0),
  );

/** One copy alone is no mass, unless nothing at all may be lost. */
export const exceedsLimit = (
  { copiesLost, percent }: Pick<UnloadGuard, "copiesLost" | "percent">,
  limitPercent: number,
): boolean => percent > limitPercent && (copiesLost > 1 || limitPercent === 0);
