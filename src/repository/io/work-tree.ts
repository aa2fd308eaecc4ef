import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CortexError } from "../../core/errors.ts";
import { by } from "../../core/order.ts";
import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { touchesFleet } from "../fleet-paths.ts";
import { changedPaths, findWorkTree, resolveCommit, type WorkTree } from "./git.ts";
import type { GitEnvironment } from "./git-process.ts";

export interface FleetText {
  readonly files: readonly FleetFile[];
  readonly revision: FleetRevision;
}

/** Deeper than any fleet: a directory that links to its parent must end somewhere. */
const DEEPEST_DIRECTORY = 16;

/** The fleet files as they lie on the disk. Throws `fleet_not_found` for a path that is not there. */
export async function readWorkTree(path: string, environment: GitEnvironment): Promise<FleetText> {
  const kind = await kindOf(path);
  if (kind === "absent") {
    throw new CortexError("fleet_not_found", `${path} does not exist`, { details: { path } });
  }
  const paths = kind === "file" ? [path] : await tomlFilesBelow(path);
  const files = await Promise.all(paths.map(async (file) => ({ path: file, text: await readText(file) })));
  const workTree = await findWorkTree(kind === "file" ? dirname(path) : path, environment);
  return { files, revision: await revisionOf({ path, kind }, workTree) };
}

/** Whether the directory is a fleet already. */
export const hasFleetFiles = async (directory: string): Promise<boolean> =>
  (await tomlFilesBelow(directory)).length > 0;

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

/** Without the file or directory the fleet would say something else. */
function unreadable(path: string, thrown: unknown): CortexError {
  const reason = isErrno(thrown, "ENOENT")
    ? "is a link to nothing, or was removed just now"
    : `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  return new CortexError("fleet_not_found", `${path} ${reason}`, {
    next: "mend or remove it, or name the fleet's own directory with --config",
    cause: thrown,
  });
}

export async function kindOf(path: string): Promise<"file" | "directory" | "absent"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ENOTDIR")) return "absent";
    throw unreadable(path, thrown);
  }
}

const isErrno = (thrown: unknown, code: string): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === code;

async function tomlFilesBelow(directory: string, depth = 0): Promise<string[]> {
  if (depth > DEEPEST_DIRECTORY) {
    throw new CortexError("fleet_not_found", `${directory} is nested too deep; a link may lead back up`);
  }
  const entries = (await entriesOf(directory))
    .filter((entry) => !entry.name.startsWith("."))
    .toSorted(by(({ name }) => name));
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const kind = entry.isSymbolicLink() ? await kindOf(path) : entry.isDirectory() ? "directory" : "file";
    if (kind === "directory") found.push(...(await tomlFilesBelow(path, depth + 1)));
    else if (entry.name.endsWith(".toml")) found.push(path);
  }
  return found;
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (thrown) {
    throw unreadable(directory, thrown);
  }
}

async function revisionOf(
  location: { readonly path: string; readonly kind: "file" | "directory" },
  workTree: WorkTree | undefined,
): Promise<FleetRevision> {
  const { path } = location;
  if (workTree === undefined) return { commit: null, dirty: false, path };
  const commit = (await resolveCommit(workTree.git, "HEAD")) ?? null;
  const pathspec = location.kind === "file" ? `:(literal)${basename(path)}` : "*.toml";
  const changed = await changedPaths(workTree.git, pathspec);
  const fileName = location.kind === "file" ? basename(path) : undefined;
  return { commit, dirty: touchesFleet(changed, { prefix: workTree.prefix, fileName }), path };
}

/** A fleet directory may exist in the wanted revision only: its nearest ancestor still leads to the repository. */
export async function nearestDirectory(path: string): Promise<string> {
  if ((await kindOf(path)) === "directory") return path;
  const parent = dirname(path);
  return parent === path ? path : nearestDirectory(parent);
}
