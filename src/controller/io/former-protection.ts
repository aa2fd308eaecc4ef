import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CortexError } from "../../core/errors.ts";
import { parseFleetPlace } from "../fleet-location.ts";
import { reachableNeurons, type ObservedFleet } from "../observed-fleet.ts";
import { findWorkTree } from "./fleet-git.ts";
import { loadFleet, type LoadFleetOptions, type LoadedFleet } from "./load-fleet.ts";

/** Commits that are looked at for the last block of one model. */
const MOST_COMMITS = 8;

/**
 * Loaded models that no block declares any more and whose last block had `protect = true`: deleting a block must not be
 * a way around its protection. The memory is git's own; outside of git, or where history is cut off, nothing is known.
 */
export async function formerlyProtected(
  { fleet, revision }: LoadedFleet,
  observed: ObservedFleet,
  options: LoadFleetOptions,
): Promise<ReadonlySet<string>> {
  const declared = new Set(fleet.models.map(({ id }) => id));
  const loadedAt = new Map<string, string[]>();
  for (const { models } of reachableNeurons(observed)) {
    for (const { id, origin } of models.filter((model) => !declared.has(model.id))) {
      if (origin.kind === "manual") continue;
      const commit = origin.kind === "revision" && isCommit(origin.ref) ? [origin.ref] : [];
      loadedAt.set(id, [...(loadedAt.get(id) ?? []), ...commit]);
    }
  }
  const found = new Set<string>();
  for (const [id, commits] of loadedAt) {
    const uncommitted = revision.commit !== null && revision.dirty ? [revision.commit] : [];
    const removals = revision.commit === null ? [] : await removalsOf(id, revision.commit, options);
    const candidates = [...new Set([...uncommitted, ...removals, ...commits])];
    if (await wasProtected(id, candidates, options)) found.add(id);
  }
  return found;
}

const isCommit = (ref: string | undefined): ref is string =>
  ref !== undefined && /^[0-9a-f]{40,64}$/.test(ref);

/** The commits before those that changed how often the id occurs, the latest first. */
async function removalsOf(
  modelId: string,
  commit: string,
  { path, inherited }: LoadFleetOptions,
): Promise<string[]> {
  const place = parseFleetPlace(path);
  if (place.kind !== "local") return [];
  const directory = (await stat(place.path)).isDirectory() ? place.path : dirname(place.path);
  const tree = await findWorkTree(directory, { inherited });
  if (tree === undefined) return [];
  const format = ["--format=%P", `--max-count=${MOST_COMMITS}`, `-S${modelId}`];
  const log = await tree.git.raw(["log", ...format, commit, "--", "."]);
  return log.split("\n").flatMap((line) => line.split(" ").filter(isCommit).slice(0, 1));
}

/** By the first of the commits that declares the model; one that cannot be read says nothing. */
async function wasProtected(
  modelId: string,
  commits: readonly string[],
  options: LoadFleetOptions,
): Promise<boolean> {
  for (const ref of commits) {
    const block = await blockAt(modelId, { ...options, ref });
    if (block !== undefined) return block.protect;
  }
  return false;
}

async function blockAt(
  modelId: string,
  options: LoadFleetOptions,
): Promise<{ readonly protect: boolean } | undefined> {
  try {
    const { fleet } = await loadFleet(options);
    return fleet.models.find(({ id }) => id === modelId);
  } catch (thrown) {
    if (thrown instanceof CortexError) return undefined;
    throw thrown;
  }
}
