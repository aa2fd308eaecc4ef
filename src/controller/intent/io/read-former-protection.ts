import { CortexError } from "../../../core/errors.ts";
import {
  isCommit,
  judgeBlocks,
  undeclaredModels,
  type FormerProtection,
  type FormerProtections,
  type FoundBlock,
} from "../former-protections.ts";
import type { ObservedFleet } from "../../observe/observed-fleet.ts";
import { openRepository, type Repository } from "../../../repository/io/fleet-source.ts";
import { loadFleetAt, type LoadFleetOptions, type LoadedFleet } from "../../../repository/io/load-fleet.ts";

/** Commits that are looked at for the last block of one model. */
const MOST_COMMITS = 8;

/**
 * Loaded models that no block declares any more and whose last block had `protect = true`: deleting a block must not be
 * a way around its protection. The memory is git's own. Outside of git nothing is known; where a shallow clone cut the
 * history off, or a commit cannot be read, a model may have been protected, and counts as if it was.
 */
export async function formerlyProtected(
  { fleet, revision }: LoadedFleet,
  observed: ObservedFleet,
  options: LoadFleetOptions,
): Promise<FormerProtections> {
  const loadedAt = undeclaredModels(fleet, observed);
  const found = new Map<string, FormerProtection>();
  if (loadedAt.size === 0 || revision.commit === null) return found;
  const history = await historyOf(options);
  for (const [id, origins] of loadedAt) {
    const uncommitted = revision.dirty ? [revision.commit] : [];
    const removals = await removalsOf(id, revision.commit, history);
    const commits = [...uncommitted, ...removals];
    const blocks = await blocksAt({ modelId: id, commits, origins }, history.repository, options);
    const known = judgeBlocks(blocks, history);
    if (known !== undefined) found.set(id, known);
  }
  return found;
}

interface FleetHistory {
  readonly repository: Repository;
  /** The history may be cut off before what is looked for. */
  readonly isShallow: boolean;
  /** The fleet's own files; empty: all. */
  readonly pathspec: readonly string[];
}

async function historyOf({ path, ref, inherited }: LoadFleetOptions): Promise<FleetHistory> {
  const repository = await openRepository({ path, ref }, { inherited });
  const { git, pathInTree } = repository;
  const isShallow = (await git.raw(["rev-parse", "--is-shallow-repository"])).trim() === "true";
  const below = pathInTree.replace(/\/$/, "");
  return { repository, isShallow, pathspec: below === "" ? [] : ["--", `:(top,literal)${below}`] };
}

/** The commits before those that changed how often the id occurs, the latest first. */
async function removalsOf(modelId: string, commit: string, history: FleetHistory): Promise<string[]> {
  const format = ["--format=%P", `--max-count=${MOST_COMMITS}`, `-S${modelId}`];
  const log = await history.repository.git.raw(["log", ...format, commit, ...history.pathspec]);
  return log.split("\n").flatMap((line) => line.split(" ").filter(isCommit).slice(0, 1));
}

/** What the commits say of the model, up to the first that declares it. */
async function blocksAt(
  wanted: {
    readonly modelId: string;
    readonly commits: readonly string[];
    /** Those that the model was loaded from. */
    readonly origins: readonly string[];
  },
  repository: Repository,
  options: LoadFleetOptions,
): Promise<FoundBlock[]> {
  const { modelId, commits, origins } = wanted;
  const found: FoundBlock[] = [];
  for (const ref of new Set([...commits, ...origins])) {
    const block = await blockAt({ modelId, ref }, repository, options);
    // The fleet was elsewhere when the model was loaded from this commit.
    found.push(block === "no fleet" ? (origins.includes(ref) ? "unreadable" : "none") : block);
    if (block === "protected" || block === "unprotected") break;
  }
  return found;
}

async function blockAt(
  { modelId, ref }: { readonly modelId: string; readonly ref: string },
  repository: Repository,
  options: LoadFleetOptions,
): Promise<FoundBlock | "no fleet"> {
  try {
    const { fleet } = await loadFleetAt(repository, ref, options);
    const block = fleet.models.find(({ id }) => id === modelId);
    return block === undefined ? "none" : block.protect ? "protected" : "unprotected";
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    // A commit that is nowhere any more says nothing.
    if (thrown.code === "fleet_revision_unknown") return "none";
    return thrown.code === "fleet_not_found" ? "no fleet" : "unreadable";
  }
}
