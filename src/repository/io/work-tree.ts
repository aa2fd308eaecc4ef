import type { Dirent } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { CortexError } from "../../core/errors.ts";
import { by } from "../../core/order.ts";
import { directoryOfFleet } from "../fleet-marks.ts";
import { repositoryMarks } from "./repository-marks.ts";
import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { isFleetFile, touchesFleet } from "../fleet-paths.ts";
import { changedPaths, remoteUrlOf, resolveCommit } from "./git.ts";
import type { GitEnvironment } from "./git-process.ts";
import { kindOf, notAFile, unreadable } from "./paths-on-disk.ts";
import { refuseIncomplete, type WholeTree } from "./whole-tree.ts";

export interface FleetText {
  readonly files: readonly FleetFile[];
  readonly revision: FleetRevision;
}

/** Deeper than any fleet: a directory that links to its parent must end somewhere. */
const DEEPEST_DIRECTORY = 16;

/**
 * The fleet files as they lie on the disk. Throws `fleet_not_found` for a path that is not there, `fleet_incomplete`
 * where git holds files of the fleet that the disk lacks.
 */
export async function readWorkTree(path: string, environment: GitEnvironment): Promise<FleetText> {
  const kind = await kindOf(path);
  if (kind === "absent") {
    await refuseIncomplete([resolve(path)], environment);
    throw new CortexError("fleet_not_found", `${path} does not exist`, { details: { path } });
  }
  if (kind === "other") throw notAFile(path);
  const walk: Walk = { files: [], linked: [] };
  if (kind === "file") walk.files.push(path);
  else await walkBelow(path, walk);
  const tree = await refuseIncomplete([resolve(path), ...walk.linked], environment);
  const files = await Promise.all(
    walk.files.map(async (file) => ({ path: file, text: await readText(file) })),
  );
  return { files, revision: await revisionOf({ path, kind, tree, files }) };
}

/** Whether the directory is a fleet already. */
export async function hasFleetFiles(directory: string): Promise<boolean> {
  const walk: Walk = { files: [], linked: [] };
  await walkBelow(directory, walk);
  return walk.files.length > 0;
}

interface Walk {
  readonly files: string[];
  /** Directories that links lead to, there or not: their files are the fleet's as well. */
  readonly linked: string[];
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

async function walkBelow(directory: string, walk: Walk, depth = 0): Promise<void> {
  if (depth > DEEPEST_DIRECTORY) {
    throw new CortexError("fleet_not_found", `${directory} is nested too deep; a link may lead back up`);
  }
  const entries = (await entriesOf(directory))
    .filter((entry) => !entry.name.startsWith("."))
    .toSorted(by(({ name }) => name));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const isLink = entry.isSymbolicLink();
    const kind = isLink ? await kindOf(path) : kindOfEntry(entry);
    if (isLink && kind !== "file") walk.linked.push(resolve(directory, await readlink(path)));
    if (kind === "directory") await walkBelow(path, walk, depth + 1);
    else if (isFleetFile(entry.name)) {
      if (kind === "other") throw notAFile(path);
      walk.files.push(path);
    }
  }
}

const kindOfEntry = (entry: Dirent): "directory" | "file" | "other" =>
  entry.isDirectory() ? "directory" : entry.isFile() ? "file" : "other";

async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (thrown) {
    throw unreadable(directory, thrown);
  }
}

async function revisionOf(
  location: Pick<FleetText, "files"> & {
    readonly path: string;
    readonly kind: "file" | "directory";
    readonly tree: WholeTree;
  },
): Promise<FleetRevision> {
  const { path, tree } = location;
  const { workTree } = tree;
  if (workTree === undefined) return { commit: null, dirty: false, path };
  const pathspec = location.kind === "file" ? `:(literal)${basename(path)}` : "*.toml";
  const [commit = null, changed, remoteUrl] = await Promise.all([
    resolveCommit(workTree.git, "HEAD"),
    changedPaths(workTree.beside(), pathspec),
    remoteUrlOf(workTree.beside()),
  ]);
  const fileName = location.kind === "file" ? basename(path) : undefined;
  const dirty =
    tree.mayDiffer ||
    touchesFleet(changed, { prefix: workTree.prefix, fileName }) ||
    tree.submodules.some((submodule) => changed.includes(submodule));
  const read = { shownPath: path, pathInTree: `${workTree.prefix}${fileName ?? ""}` };
  const directory = directoryOfFleet(location.files, read);
  const marks = await repositoryMarks(workTree.git, { commit, path: directory, remoteUrl });
  return { commit, dirty, path, ...marks };
}
