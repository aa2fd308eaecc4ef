import { join } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { chooseFiles, type Choice } from "../choose-files.ts";
import { listTree, readObject } from "./git.ts";

/** A place in a commit, and how its files are shown. */
export interface RevisionPlace {
  readonly git: SimpleGit;
  readonly commit: string;
  /** Directory or file from the top of the repository; empty: its top. */
  readonly pathInTree: string;
  /** What stands for `pathInTree` in the paths that people are shown. */
  readonly shownPath: string;
}

/**
 * The fleet files of a commit, out of git's objects. A link that leads outside or to a directory is an error, and so is a
 * submodule, because leaving it out would change what the fleet says. Whether a submodule's files are on the disk does not
 * count: the same revision has the same answer in every clone. Throws `fleet_incomplete`.
 */
export async function readRevisionFiles(place: RevisionPlace): Promise<FleetFile[]> {
  const files: FleetFile[] = [];
  for (const choice of await choicesOf(place)) {
    if (choice.kind === "lost-link") throw unreadableLink(place, choice);
    if (choice.kind === "submodule") throw unreadableSubmodule(place, choice.path);
    const path = choice.inside === "" ? place.shownPath : join(place.shownPath, choice.inside);
    files.push({ path, text: await readObject(place.git, choice.object) });
  }
  return files;
}

/** Links are read until none is in question. */
async function choicesOf({ git, commit, pathInTree }: RevisionPlace): Promise<readonly Choice[]> {
  const tree = await listTree(git, commit);
  const targets = new Map<string, string>();
  for (;;) {
    const { choices, unread } = chooseFiles(tree, pathInTree.replace(/\/$/, ""), targets);
    if (unread.length === 0) return choices;
    for (const object of unread) targets.set(object, await readObject(git, object));
  }
}

function unreadableSubmodule(place: RevisionPlace, path: string): CortexError {
  const message = `${path} at ${place.commit.slice(0, 8)} is a submodule, and a revision does not hold its files`;
  return new CortexError("fleet_incomplete", message, {
    next: "put the files themselves where the submodule is; if it holds nothing of the fleet, give the fleet a directory of its own and name it with --config",
  });
}

function unreadableLink(
  place: RevisionPlace,
  link: { readonly path: string; readonly target: string },
): CortexError {
  const commit = place.commit.slice(0, 8);
  const message = `${link.path} at ${commit} is a link to ${link.target}, which the commit does not hold as a file`;
  return new CortexError("fleet_incomplete", message, { next: "put the file itself where the link is" });
}
