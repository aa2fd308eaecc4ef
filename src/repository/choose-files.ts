import { by, compareText } from "../core/order.ts";
import { isFleetFile, isHidden } from "./fleet-paths.ts";
import type { TreeFile } from "./parse-tree.ts";

/** Something of a commit that is the fleet's, or hides whether it is. */
export type Choice =
  | {
      readonly kind: "file";
      /** Inside the fleet's directory; empty: the very file that was named. */
      readonly inside: string;
      readonly object: string;
    }
  /** Its files are in no commit. */
  | { readonly kind: "submodule"; readonly path: string }
  /** It stands for fleet files that the commit does not hold as files. */
  | { readonly kind: "lost-link"; readonly path: string; readonly target: string };

export interface Choices {
  /** In the order of their paths. */
  readonly choices: readonly Choice[];
  /** Objects of links whose targets decide and are not known yet; while there are any, the choices are not all. */
  readonly unread: readonly string[];
}

/** Links to links end somewhere. */
const LONGEST_LINK_CHAIN = 8;

/**
 * The fleet files of a commit below a directory (or the file itself). A link is followed inside the commit, as it would
 * be in a work tree. `targets` holds the texts of the links that were read so far, by object; whoever asks reads the
 * `unread` ones and asks again.
 */
export function chooseFiles(
  tree: readonly TreeFile[],
  pathInTree: string,
  targets: ReadonlyMap<string, string>,
): Choices {
  const choices: Choice[] = [];
  const unread = new Set<string>();
  const open: Seen[] = tree.map((entry) => ({ entry, path: entry.path, links: 0 }));
  for (let seen = open.pop(); seen !== undefined; seen = open.pop()) {
    const { entry, path } = seen;
    const inside = insideFleet({ ...entry, path }, pathInTree);
    if (inside === undefined) continue;
    if (entry.kind === "submodule") {
      choices.push({ kind: "submodule", path });
      continue;
    }
    const end = linkEnd(entry, tree, { counts: inside === "" || isFleetFile(inside), targets });
    if (end.kind === "unread") unread.add(end.object);
    else if (end.kind === "file") choices.push({ kind: "file", inside, object: end.object });
    else if (end.kind === "lost") choices.push({ kind: "lost-link", path, target: end.target });
    else if (end.kind === "directory") {
      const below = filesBelow(end, { tree, seen });
      if (seen.links < LONGEST_LINK_CHAIN) open.push(...below);
      else if (below.some((file) => isFleetFile(file.path)))
        choices.push({ kind: "lost-link", path, target: end.target });
    }
  }
  return { choices: choices.toSorted(by(placeOf)), unread: [...unread].toSorted(compareText) };
}

/** A file of the commit, and the path under which it is the fleet's: another one below a link to its directory. */
interface Seen {
  readonly entry: TreeFile;
  readonly path: string;
  /** To directories, on the way to it. */
  readonly links: number;
}

const placeOf = (choice: Choice): string => (choice.kind === "file" ? choice.inside : choice.path);

/** What is below a directory, seen below the link to it. */
const filesBelow = (
  { path: directory }: { readonly path: string },
  { tree, seen }: { readonly tree: readonly TreeFile[]; readonly seen: Seen },
): Seen[] => {
  const prefix = directory === "" ? "" : `${directory}/`;
  return tree
    .filter((entry) => entry.path.startsWith(prefix))
    .map((entry) => ({
      entry,
      path: `${seen.path}/${entry.path.slice(prefix.length)}`,
      links: seen.links + 1,
    }));
};

/** Its path inside the fleet; empty for what is named, or a submodule around it; undefined for what is not the fleet's. */
function insideFleet(entry: TreeFile, pathInTree: string): string | undefined {
  if (entry.path === pathInTree) return "";
  if (entry.kind === "submodule" && pathInTree.startsWith(`${entry.path}/`)) return "";
  const directory = pathInTree === "" ? "" : `${pathInTree}/`;
  const inside = entry.path.slice(directory.length);
  return entry.path.startsWith(directory) && couldHoldFleetFiles(entry, inside) ? inside : undefined;
}

/** A link or a submodule may stand for a directory of fleet files, whatever its name. */
const couldHoldFleetFiles = (entry: TreeFile, inside: string): boolean =>
  isFleetFile(inside) || (entry.kind !== "file" && !isHidden(inside));

type LinkEnd =
  | { readonly kind: "file" | "unread"; readonly object: string }
  | { readonly kind: "lost"; readonly target: string }
  | { readonly kind: "directory"; readonly path: string; readonly target: string }
  /** Nothing of the fleet. */
  | { readonly kind: "other" };

/** Where a chain of links ends; a file is its own end. */
function linkEnd(
  start: TreeFile,
  tree: readonly TreeFile[],
  { counts, targets }: { readonly counts: boolean; readonly targets: ReadonlyMap<string, string> },
): LinkEnd {
  let current = start;
  for (let steps = 0; current.kind === "link"; steps += 1) {
    const target = targets.get(current.object);
    if (target === undefined) return { kind: "unread", object: current.object };
    const path = pathBeside(current.path, target);
    const next = tree.find((candidate) => candidate.path === path && candidate.kind !== "submodule");
    if (next === undefined || path === undefined || steps >= LONGEST_LINK_CHAIN) {
      const isDirectory = next === undefined && path !== undefined && hasBelow(path, tree);
      if (isDirectory) return { kind: "directory", path, target };
      // A link to something else than fleet files is nobody's loss.
      return counts ? { kind: "lost", target } : { kind: "other" };
    }
    current = next;
  }
  return counts ? { kind: "file", object: current.object } : { kind: "other" };
}

const hasBelow = (path: string, tree: readonly TreeFile[]): boolean =>
  path === "" || tree.some(({ path: found }) => found.startsWith(`${path}/`));

/** The path that a link leads to, from the top of the repository; undefined where it leaves the repository. */
function pathBeside(link: string, target: string): string | undefined {
  if (target.startsWith("/")) return undefined;
  const parts = link.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") {
      if (parts.length === 0) return undefined;
      parts.pop();
    } else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
