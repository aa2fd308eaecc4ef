import { readdir, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { CortexError, systemErrorCode } from "../../core/errors.ts";
import { doubtfulEntries, explainLacking, lackOf, type Lack } from "../doubtful-entries.ts";
import type { IndexEntry } from "../parse-index.ts";
import { findWorkTree, listIndex, type WorkTree } from "./git.ts";
import type { GitEnvironment } from "./git-process.ts";
import { kindOf, nearestDirectory } from "./paths-on-disk.ts";

export interface WholeTree {
  /** A file of the fleet may differ from its commit although git says nothing. */
  readonly mayDiffer: boolean;
  /** Submodules whose files are the fleet's, from the top of the repository. */
  readonly submodules: readonly string[];
  /** The work tree that the fleet's own path is in. */
  readonly workTree: WorkTree | undefined;
}

interface Findings {
  readonly lacking: { readonly path: string; readonly lack: Lack }[];
  readonly submodules: string[];
  mayDiffer: boolean;
}

/**
 * Looks whether everything that git holds of a fleet is on the disk: what a sparse checkout leaves out, or a submodule that
 * is not initialised, would else count as deleted. `places` are the fleet's own path and all that its links lead to.
 * Throws `fleet_incomplete`.
 */
export async function refuseIncomplete(
  places: readonly string[],
  environment: GitEnvironment,
): Promise<WholeTree> {
  const findings: Findings = { lacking: [], submodules: [], mayDiffer: false };
  const examination = { environment, findings };
  const [own, ...linked] = places;
  const workTree = own === undefined ? undefined : await examine(own, examination);
  for (const place of linked) await examine(place, examination);
  if (findings.lacking.length === 0) return { ...findings, workTree };
  const { what, next } = explainLacking(findings.lacking);
  const message = `the work tree lacks what git holds of ${places[0] ?? "the fleet"}: ${what}`;
  throw new CortexError("fleet_incomplete", message, {
    details: { missing: findings.lacking.map(({ path }) => path) },
    next,
  });
}

interface Examination {
  readonly environment: GitEnvironment;
  readonly findings: Findings;
}

async function examine(place: string, { environment, findings }: Examination): Promise<WorkTree | undefined> {
  const anchor = await nearestDirectory(place);
  const workTree = await findWorkTree(anchor, environment);
  if (workTree === undefined) return undefined;
  const path = (workTree.prefix + relative(anchor, place).replaceAll("\\", "/")).replace(/\/$/, "");
  const top = join(await realpath(anchor), "../".repeat(workTree.prefix.split("/").length - 1));
  for (const entry of doubtfulEntries(await listIndex(workTree.git), path)) {
    if (!(await isThere(join(top, entry.path), entry))) {
      findings.lacking.push({ path: entry.path, lack: lackOf(entry) });
    } else if (entry.kind === "file") {
      findings.mayDiffer = true;
    } else if (entry.path !== path && !path.startsWith(`${entry.path}/`)) {
      findings.submodules.push(entry.path);
      await examine(join(top, entry.path), { environment, findings });
    }
  }
  return workTree;
}

/** A submodule that is not initialised is an empty directory. */
async function isThere(path: string, entry: IndexEntry): Promise<boolean> {
  if (entry.kind === "file") return (await kindOf(path)) !== "absent";
  try {
    return (await readdir(path)).length > 0;
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return false;
    throw thrown;
  }
}
