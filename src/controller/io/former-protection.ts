import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import type { Fleet } from "../../fleet/fleet-schema.ts";
import { reachableNeurons, type ObservedFleet } from "../observed-fleet.ts";
import type { FormerProtection, FormerProtections } from "../plan-diff.ts";
import { openRepository } from "./fleet-source.ts";
import { loadFleet, type LoadFleetOptions, type LoadedFleet } from "./load-fleet.ts";

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
    const blocks = await blocksAt(id, { commits: [...uncommitted, ...removals], origins }, options);
    const known = judge(blocks, history);
    if (known !== undefined) found.set(id, known);
  }
  return found;
}

/** What the last commit that declares the model says; where none does, whether one could be missing. */
function judge(
  blocks: readonly FoundBlock[],
  history: Pick<FleetHistory, "isShallow">,
): FormerProtection | undefined {
  const block = blocks.find((found) => found !== "none" && found !== "unreadable");
  if (block !== undefined) return block === "protected" ? "protected" : undefined;
  if (blocks.includes("unreadable")) return "history_unreadable";
  return history.isShallow ? "history_cut_off" : undefined;
}

/** The models that cortex loaded and no block declares, each with the commits that it was loaded from. */
function undeclaredModels(fleet: Fleet, observed: ObservedFleet): Map<string, string[]> {
  const declared = new Set(fleet.models.map(({ id }) => id));
  const loadedAt = new Map<string, string[]>();
  for (const { models } of reachableNeurons(observed)) {
    for (const { id, origin } of models.filter((model) => !declared.has(model.id))) {
      if (origin.kind === "manual") continue;
      const commit = origin.kind === "revision" && isCommit(origin.ref) ? [origin.ref] : [];
      loadedAt.set(id, [...(loadedAt.get(id) ?? []), ...commit]);
    }
  }
  return loadedAt;
}

const isCommit = (ref: string | undefined): ref is string =>
  ref !== undefined && /^[0-9a-f]{40,64}$/.test(ref);

interface FleetHistory {
  readonly git: SimpleGit;
  /** The history may be cut off before what is looked for. */
  readonly isShallow: boolean;
  /** The fleet's own files; empty: all. */
  readonly pathspec: readonly string[];
}

async function historyOf({ path, ref, inherited }: LoadFleetOptions): Promise<FleetHistory> {
  const { git, pathInTree } = await openRepository({ path, ref }, { inherited });
  const isShallow = (await git.raw(["rev-parse", "--is-shallow-repository"])).trim() === "true";
  const below = pathInTree.replace(/\/$/, "");
  return { git, isShallow, pathspec: below === "" ? [] : ["--", `:(top,literal)${below}`] };
}

/** The commits before those that changed how often the id occurs, the latest first. */
async function removalsOf(modelId: string, commit: string, history: FleetHistory): Promise<string[]> {
  const format = ["--format=%P", `--max-count=${MOST_COMMITS}`, `-S${modelId}`];
  const log = await history.git.raw(["log", ...format, commit, ...history.pathspec]);
  return log.split("\n").flatMap((line) => line.split(" ").filter(isCommit).slice(0, 1));
}

type FoundBlock = "protected" | "unprotected" | "none" | "unreadable";

/** What the commits say of the model, up to the first that declares it. */
async function blocksAt(
  modelId: string,
  { commits, origins }: { readonly commits: readonly string[]; readonly origins: readonly string[] },
  options: LoadFleetOptions,
): Promise<FoundBlock[]> {
  const found: FoundBlock[] = [];
  for (const ref of new Set([...commits, ...origins])) {
    const block = await blockAt(modelId, { ...options, ref });
    // The fleet was elsewhere when the model was loaded from this commit.
    found.push(block === "no fleet" ? (origins.includes(ref) ? "unreadable" : "none") : block);
    if (block === "protected" || block === "unprotected") break;
  }
  return found;
}

async function blockAt(modelId: string, options: LoadFleetOptions): Promise<FoundBlock | "no fleet"> {
  try {
    const { fleet } = await loadFleet(options);
    const block = fleet.models.find(({ id }) => id === modelId);
    return block === undefined ? "none" : block.protect ? "protected" : "unprotected";
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) throw thrown;
    // A commit that is nowhere any more says nothing.
    if (thrown.code === "fleet_revision_unknown") return "none";
    return thrown.code === "fleet_not_found" ? "no fleet" : "unreadable";
  }
}
