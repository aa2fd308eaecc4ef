import { relative, resolve } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import type { Fleet } from "../../fleet/fleet-schema.ts";
import { parseFleetPlace } from "../fleet-location.ts";
import { reachableNeurons, type ObservedFleet } from "../observed-fleet.ts";
import type { FormerProtections } from "../plan-diff.ts";
import { findWorkTree } from "./fleet-git.ts";
import { nearestDirectory } from "./fleet-source.ts";
import { loadFleet, type LoadFleetOptions, type LoadedFleet } from "./load-fleet.ts";

/** Commits that are looked at for the last block of one model. */
const MOST_COMMITS = 8;

/**
 * Loaded models that no block declares any more and whose last block had `protect = true`: deleting a block must not be
 * a way around its protection. The memory is git's own. Outside of git nothing is known; where a shallow clone cut the
 * history off, a model may have been protected, and counts as if it was.
 */
export async function formerlyProtected(
  { fleet, revision }: LoadedFleet,
  observed: ObservedFleet,
  options: LoadFleetOptions,
): Promise<FormerProtections> {
  const loadedAt = undeclaredModels(fleet, observed);
  const found = new Map<string, "protected" | "history_cut_off">();
  if (loadedAt.size === 0 || revision.commit === null) return found;
  const tree = await workTreeOf(options);
  for (const [id, commits] of loadedAt) {
    const uncommitted = revision.dirty ? [revision.commit] : [];
    const removals = tree === undefined ? [] : await removalsOf(id, revision.commit, tree);
    const block = await lastBlock(id, [...new Set([...uncommitted, ...removals, ...commits])], options);
    if (block?.protect === true) found.set(id, "protected");
    else if (block === undefined && tree?.isShallow === true) found.set(id, "history_cut_off");
  }
  return found;
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

/** Undefined for a remote repository and outside of git. */
async function workTreeOf({ path, inherited }: LoadFleetOptions): Promise<FleetHistory | undefined> {
  const place = parseFleetPlace(path);
  if (place.kind !== "local") return undefined;
  const anchor = await nearestDirectory(resolve(place.path));
  const tree = await findWorkTree(anchor, { inherited });
  if (tree === undefined) return undefined;
  const isShallow = (await tree.git.raw(["rev-parse", "--is-shallow-repository"])).trim() === "true";
  const below = relative(anchor, resolve(place.path));
  return { git: tree.git, isShallow, pathspec: below === "" ? "." : `:(literal)${below}` };
}

interface FleetHistory {
  readonly git: SimpleGit;
  /** The history may be cut off before what is looked for. */
  readonly isShallow: boolean;
  /** The fleet's own files. */
  readonly pathspec: string;
}

/** The commits before those that changed how often the id occurs, the latest first. */
async function removalsOf(modelId: string, commit: string, history: FleetHistory): Promise<string[]> {
  const format = ["--format=%P", `--max-count=${MOST_COMMITS}`, `-S${modelId}`];
  const log = await history.git.raw(["log", ...format, commit, "--", history.pathspec]);
  return log.split("\n").flatMap((line) => line.split(" ").filter(isCommit).slice(0, 1));
}

/** What the first of the commits that declares the model says; one that cannot be read says nothing. */
async function lastBlock(
  modelId: string,
  commits: readonly string[],
  options: LoadFleetOptions,
): Promise<Protection | undefined> {
  for (const ref of commits) {
    const block = await blockAt(modelId, { ...options, ref });
    if (block !== undefined) return block;
  }
  return undefined;
}

interface Protection {
  readonly protect: boolean;
}

async function blockAt(modelId: string, options: LoadFleetOptions): Promise<Protection | undefined> {
  try {
    const { fleet } = await loadFleet(options);
    return fleet.models.find(({ id }) => id === modelId);
  } catch (thrown) {
    if (thrown instanceof CortexError) return undefined;
    throw thrown;
  }
}
