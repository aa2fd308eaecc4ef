import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CortexError } from "../../core/errors.ts";
import { parseFleetPlace } from "../fleet-location.ts";
import { reachableNeurons, type ObservedFleet } from "../observed-fleet.ts";
import type { FormerProtections } from "../plan-diff.ts";
import { findWorkTree, type WorkTree } from "./fleet-git.ts";
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
  const declared = new Set(fleet.models.map(({ id }) => id));
  const loadedAt = new Map<string, string[]>();
  for (const { models } of reachableNeurons(observed)) {
    for (const { id, origin } of models.filter((model) => !declared.has(model.id))) {
      if (origin.kind === "manual") continue;
      const commit = origin.kind === "revision" && isCommit(origin.ref) ? [origin.ref] : [];
      loadedAt.set(id, [...(loadedAt.get(id) ?? []), ...commit]);
    }
  }
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

const isCommit = (ref: string | undefined): ref is string =>
  ref !== undefined && /^[0-9a-f]{40,64}$/.test(ref);

/** Undefined for a remote repository and outside of git. */
async function workTreeOf({
  path,
  inherited,
}: LoadFleetOptions): Promise<(WorkTree & { readonly isShallow: boolean }) | undefined> {
  const place = parseFleetPlace(path);
  if (place.kind !== "local") return undefined;
  const directory = (await stat(place.path)).isDirectory() ? place.path : dirname(place.path);
  const tree = await findWorkTree(directory, { inherited });
  if (tree === undefined) return undefined;
  const isShallow = (await tree.git.raw(["rev-parse", "--is-shallow-repository"])).trim() === "true";
  return { ...tree, isShallow };
}

/** The commits before those that changed how often the id occurs, the latest first. */
async function removalsOf(modelId: string, commit: string, tree: WorkTree): Promise<string[]> {
  const format = ["--format=%P", `--max-count=${MOST_COMMITS}`, `-S${modelId}`];
  const log = await tree.git.raw(["log", ...format, commit, "--", "."]);
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
