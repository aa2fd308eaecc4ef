import { by } from "../../core/order.ts";
import { join, posix } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { listTree, readObject, type TreeFile } from "./git.ts";

/** A place in a commit, and how its files are shown. */
export interface RevisionPlace {
  readonly git: SimpleGit;
  readonly commit: string;
  /** Directory or file from the top of the repository; empty: its top. */
  readonly pathInTree: string;
  /** What stands for `pathInTree` in the paths that people are shown. */
  readonly shownPath: string;
  /** Whether fleet files lie at this path of the work tree, where there is one: those of a submodule are in no commit. */
  readonly isFleetOnDisk?: (path: string) => Promise<boolean>;
}

/** Links to links end somewhere. */
const LONGEST_LINK_CHAIN = 8;

export const isFleetFile = (path: string): boolean =>
  path.endsWith(".toml") && !path.split("/").some((part) => part.startsWith("."));

/**
 * The fleet files of a commit, out of git's objects. A link is followed inside the commit, as it would be in a work
 * tree; one that leads outside or to a directory is an error, because leaving it out would change what the fleet says.
 */
export async function readRevisionFiles(place: RevisionPlace): Promise<FleetFile[]> {
  const pathInTree = place.pathInTree.replace(/\/$/, "");
  const directory = pathInTree === "" ? "" : `${pathInTree}/`;
  const all = await listTree(place.git, place.commit, "");
  const files: FleetFile[] = [];
  for (const entry of all.toSorted(by(({ path }) => path))) {
    const isNamed = entry.path === pathInTree;
    const inside = entry.path.slice(directory.length);
    if (!isNamed && !(entry.path.startsWith(directory) && couldHoldFleetFiles(entry, inside))) continue;
    const counts = isNamed || isFleetFile(inside);
    const file =
      entry.kind === "submodule"
        ? await refuseFleet(place, { entry, isNamed })
        : await followLinks(place, { entry, all, counts });
    if (file === undefined) continue;
    const path = isNamed ? place.shownPath : join(place.shownPath, inside);
    files.push({ path, text: await readObject(place.git, file.object) });
  }
  return files;
}

/** A submodule that holds nothing of the fleet is nobody's loss; what is in any other cannot be read from a commit. */
async function refuseFleet(
  place: RevisionPlace,
  { entry, isNamed }: { readonly entry: TreeFile; readonly isNamed: boolean },
): Promise<undefined> {
  if (isNamed || (await place.isFleetOnDisk?.(entry.path)) === true) {
    throw unreadableSubmodule(place, entry.path);
  }
}

/** A link or a submodule may stand for a directory of fleet files, whatever its name. */
const couldHoldFleetFiles = (entry: TreeFile, inside: string): boolean =>
  isFleetFile(inside) || (entry.kind !== "file" && !inside.split("/").some((part) => part.startsWith(".")));

async function followLinks(
  place: RevisionPlace,
  from: { readonly entry: TreeFile; readonly all: readonly TreeFile[]; readonly counts: boolean },
): Promise<TreeFile | undefined> {
  let current = from.entry;
  for (let steps = 0; current.kind === "link"; steps += 1) {
    const target = await readObject(place.git, current.object);
    const path = posix.normalize(posix.join(posix.dirname(current.path), target)).replace(/\/$/, "");
    const next = from.all.find((candidate) => candidate.path === path && candidate.kind !== "submodule");
    const below = path === "." ? "" : `${path}/`;
    const isDirectory = from.all.some(
      (candidate) => candidate.path.startsWith(below) && isFleetFile(candidate.path.slice(below.length)),
    );
    const leavesTree = target.startsWith("/") || path.startsWith("..");
    if (next === undefined || leavesTree || steps >= LONGEST_LINK_CHAIN) {
      // A link to something else than fleet files is nobody's loss.
      if (!isDirectory && !from.counts) return undefined;
      throw unreadableLink(place, { path: from.entry.path, target });
    }
    current = next;
  }
  return from.counts ? current : undefined;
}

function unreadableSubmodule(place: RevisionPlace, path: string): CortexError {
  const message = `${path} at ${place.commit.slice(0, 8)} is a submodule, and a revision does not hold its files`;
  return new CortexError("fleet_not_found", message, {
    next: "name the fleet's own directory with --config, or put the files where the submodule is",
  });
}

function unreadableLink(
  place: RevisionPlace,
  link: { readonly path: string; readonly target: string },
): CortexError {
  const commit = place.commit.slice(0, 8);
  const message = `${link.path} at ${commit} is a link to ${link.target}, which the commit does not hold as a file`;
  return new CortexError("fleet_not_found", message, { next: "put the file itself where the link is" });
}
