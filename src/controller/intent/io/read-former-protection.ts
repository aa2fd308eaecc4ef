import { CortexError } from "../../../core/errors.ts";
import type { FleetHistory } from "../../../repository/io/fleet-history.ts";
import type { LoadedFleet } from "../../../repository/io/load-fleet.ts";
import type { ObservedFleet } from "../../observe/observed-fleet.ts";
import {
  judgeBlocks,
  undeclaredModels,
  type FormerProtection,
  type FormerProtections,
  type FoundBlock,
} from "../former-protections.ts";

/** Commits that are looked at for the last block of one model. */
const MOST_COMMITS = 24;

/**
 * Loaded models that no block declares any more and whose last block had `protect = true`: deleting a block must not be
 * a way around its protection. The memory is git's own: the newest version of the files that declares the model
 * decides. Where the history is not at hand (files without git, a shallow clone, a commit that cannot be read), a model
 * that was loaded from a commit may have been protected, and counts as if it was.
 */
export async function formerlyProtected(
  { fleet, revision }: LoadedFleet,
  observed: ObservedFleet,
  openHistory: () => Promise<FleetHistory>,
): Promise<FormerProtections> {
  const loadedAt = undeclaredModels(fleet, observed);
  const found = new Map<string, FormerProtection>();
  const { commit } = revision;
  if (loadedAt.size === 0) return found;
  if (commit === null) {
    for (const [modelId, origins] of loadedAt)
      if (origins.length > 0) found.set(modelId, "history_unreadable");
    return found;
  }
  const history = await openHistory();
  for (const [modelId, origins] of loadedAt) {
    const uncommitted = revision.dirty ? [commit] : [];
    const removals = await history.commitsBefore({ text: modelId, commit, most: MOST_COMMITS });
    const isCut = removals.length === MOST_COMMITS;
    const commits = [...uncommitted, ...removals];
    // Behind so many commits there may be a newer block than that of the origin.
    const blocks = await blocksAt({ modelId, commits, origins: isCut ? [] : origins }, history);
    const known = judgeBlocks(blocks, { isShallow: history.isShallow, isCut });
    if (known !== undefined) found.set(modelId, known);
  }
  return found;
}

/** What the commits say of the model, up to the first that declares it. */
async function blocksAt(
  wanted: {
    readonly modelId: string;
    readonly commits: readonly string[];
    /** Those that the model was loaded from. */
    readonly origins: readonly string[];
  },
  history: FleetHistory,
): Promise<FoundBlock[]> {
  const { modelId, commits, origins } = wanted;
  const found: FoundBlock[] = [];
  for (const ref of new Set([...commits, ...origins])) {
    const block = await blockAt(modelId, ref, history);
    // The fleet was elsewhere when the model was loaded from this commit.
    found.push(block === "no fleet" ? (origins.includes(ref) ? "unreadable" : "none") : block);
    if (block === "protected" || block === "unprotected") break;
  }
  return found;
}

async function blockAt(
  modelId: string,
  ref: string,
  history: FleetHistory,
): Promise<FoundBlock | "no fleet"> {
  try {
    const { fleet } = await history.loadAt(ref);
    const block = fleet.models.find(({ id }) => id === modelId);
    return block === undefined ? "none" : block.protect ? "protected" : "unprotected";
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    // A commit that is nowhere any more says nothing.
    if (thrown.code === "fleet_revision_unknown") return "none";
    return thrown.code === "fleet_not_found" ? "no fleet" : "unreadable";
  }
}
