import { fleetGit } from "../../../repository/io/fleet-git.ts";
import type { Environment } from "../../../platform/environment.ts";
import { readHistory } from "./read-history.ts";
import { syncOf, type SyncState } from "../sync-state.ts";

/** Enough to find the last apply that did everything, in most histories. */
const LOOKED_AT = 20;

/**
 * Where the files are, and what was applied last. Null where there are no fleet files at `path`. The history is left out
 * where none is kept, or where the remote does not answer now.
 */
export async function readSync(
  { path }: { readonly path: string },
  environment: Pick<Environment, "cortexVariables" | "inherited">,
): Promise<SyncState | null> {
  const loaded = await fleetGit(environment)
    .load({ path })
    .catch(() => undefined);
  if (loaded === undefined) return null;
  const { fleet, revision } = loaded;
  const location = { path, repo: fleet.gitops.repo, fleet: fleet.fleet.name, most: LOOKED_AT };
  const history = await readHistory(location, environment).catch(() => []);
  return syncOf(revision, history);
}
