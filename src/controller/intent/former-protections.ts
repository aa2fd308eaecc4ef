import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { isCommitId } from "../../repository/parse-revision.ts";
import { foreignFleet, ownFleets } from "../observe/foreign-copies.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";

/** That a model's last block had `protect = true`, or why nobody can say. */
export type FormerProtection = "protected" | "history_cut_off" | "history_unreadable";

/** By the model's id. */
export type FormerProtections = ReadonlyMap<string, FormerProtection>;

/** What a commit says of a model. */
export type FoundBlock = "protected" | "unprotected" | "none" | "unreadable";

/** What the last commit that declares the model says; where none does, whether one could be missing. */
export function judgeBlocks(
  blocks: readonly FoundBlock[],
  history: {
    readonly isShallow: boolean;
    /** There are more commits than were looked at. */
    readonly isCut: boolean;
  },
): FormerProtection | undefined {
  const block = blocks.find((found) => found !== "none" && found !== "unreadable");
  if (block !== undefined) return block === "protected" ? "protected" : undefined;
  if (blocks.includes("unreadable") || history.isCut) return "history_unreadable";
  return history.isShallow ? "history_cut_off" : undefined;
}

/** The models that cortex loaded and no block declares, each with the commits that it was loaded from. */
export function undeclaredModels(fleet: Fleet, observed: ObservedFleet): Map<string, string[]> {
  const declared = new Set(fleet.models.map(({ id }) => id));
  const own = ownFleets(fleet);
  const loadedAt = new Map<string, string[]>();
  for (const { models } of reachableNeurons(observed)) {
    for (const { id, origin } of models.filter((model) => !declared.has(model.id))) {
      if (origin.kind === "manual" || foreignFleet(origin, own) !== undefined) continue;
      const commit = origin.kind === "revision" && isCommitId(origin.ref) ? [origin.ref] : [];
      loadedAt.set(id, [...(loadedAt.get(id) ?? []), ...commit]);
    }
  }
  return loadedAt;
}
