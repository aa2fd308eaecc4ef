import { join } from "node:path";
import type { SimpleGit } from "simple-git";
import { present } from "../../core/present.ts";
import { CortexError } from "../../core/errors.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { chooseFiles, type Choice } from "../choose-files.ts";
import { listTree } from "./git.ts";

/** A place in a commit, and how its files are shown. */
export interface RevisionPlace {
  readonly git: SimpleGit;
  readonly readObjects: (objects: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  readonly commit: string;
  /** Directory or file from the top of the repository; empty: its top. */
  readonly pathInTree: string;
  /** What stands for `pathInTree` in the paths that people are shown. */
  readonly shownPath: string;
}

/**
 * The fleet files of a commit, out of git's objects. A link that leads outside of the commit is an error, and so is a
 * submodule, because leaving it out would change what the fleet says. Whether a submodule's files are on the disk does not
 * count: the same revision has the same answer in every clone. Throws `fleet_incomplete`.
 */
export async function readRevisionFiles(place: RevisionPlace): Promise<FleetFile[]> {
  const found = (await choicesOf(place)).map((choice) => {
    if (choice.kind === "lost-link") throw unreadableLink(place, choice);
    if (choice.kind === "submodule") throw unreadableSubmodule(place, choice.path);
    return choice;
  });
  const texts = await place.readObjects(found.map(({ object }) => object));
  return found.map(({ inside, object }) => ({
    path: inside === "" ? place.shownPath : join(place.shownPath, inside),
    text: present(texts.get(object), "the text of object", object),
  }));
}

/** Links are read until none is in question. */
async function choicesOf(place: RevisionPlace): Promise<readonly Choice[]> {
  const { git, readObjects, commit, pathInTree } = place;
  const tree = await listTree(git, commit);
  const targets = new Map<string, string>();
  for (;;) {
    const { choices, unread } = chooseFiles(tree, pathInTree.replace(/\/$/, ""), targets);
    if (unread.length === 0) return choices;
    for (const [object, target] of await readObjects(unread)) targets.set(object, target);
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
