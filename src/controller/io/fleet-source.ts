import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { CortexError } from "../../core/errors.ts";
import type { FleetFile } from "../../fleet/parse-fleet-file.ts";
import type { PlanRevision } from "../../protocol/plan-document.ts";
import {
  changedPaths,
  findWorkTree,
  listTree,
  readObject,
  resolveCommit,
  type GitEnvironment,
  type WorkTree,
} from "./fleet-git.ts";

export interface FleetLocation {
  /** A directory, or one file. */
  readonly path: string;
  /** Read this revision out of git's objects; the work tree is neither read nor touched. */
  readonly ref?: string | undefined;
}

export interface FleetText {
  readonly files: readonly FleetFile[];
  readonly revision: PlanRevision;
}

/** Deeper than any fleet: a directory that links to its parent must end somewhere. */
const DEEPEST_DIRECTORY = 16;

/**
 * The text of a fleet and the revision it stands for. Every `*.toml` below a directory counts, hidden files and
 * folders aside, in the order of their paths.
 * Throws `fleet_not_found` for a path without a fleet, `fleet_revision_unknown` for a ref that names no commit.
 */
export async function readFleet(location: FleetLocation, environment: GitEnvironment): Promise<FleetText> {
  const fleet =
    location.ref === undefined
      ? await readWorkTree(location.path, environment)
      : await readRevision({ path: location.path, ref: location.ref }, environment);
  if (fleet.files.length > 0) return fleet;
  const where = location.ref === undefined ? location.path : `${location.path} at ${location.ref}`;
  throw new CortexError("fleet_not_found", `there is no .toml file in ${where}`, {
    details: { path: location.path },
  });
}

const isFleetFile = (path: string): boolean =>
  path.endsWith(".toml") && !path.split("/").some((part) => part.startsWith("."));

async function readWorkTree(path: string, environment: GitEnvironment): Promise<FleetText> {
  const kind = await kindOf(path);
  if (kind === "absent") {
    throw new CortexError("fleet_not_found", `${path} does not exist`, { details: { path } });
  }
  const paths = kind === "file" ? [path] : await tomlFilesBelow(path);
  const files = await Promise.all(
    paths.map(async (file) => ({ path: file, text: await readFile(file, "utf8") })),
  );
  const workTree = await findWorkTree(kind === "file" ? dirname(path) : path, environment);
  return { files, revision: await revisionOf({ path, kind }, workTree) };
}

async function kindOf(path: string): Promise<"file" | "directory" | "absent"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ENOTDIR")) return "absent";
    throw thrown;
  }
}

const isErrno = (thrown: unknown, code: string): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === code;

async function tomlFilesBelow(directory: string, depth = 0): Promise<string[]> {
  if (depth > DEEPEST_DIRECTORY) {
    throw new CortexError("fleet_not_found", `${directory} is nested too deep; a link may lead back up`);
  }
  const entries = (await readdir(directory, { withFileTypes: true }))
    .filter((entry) => !entry.name.startsWith("."))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const kind = entry.isSymbolicLink() ? await kindOf(path) : entry.isDirectory() ? "directory" : "file";
    if (kind === "directory") found.push(...(await tomlFilesBelow(path, depth + 1)));
    else if (kind === "file" && entry.name.endsWith(".toml")) found.push(path);
  }
  return found;
}

async function revisionOf(
  location: { readonly path: string; readonly kind: "file" | "directory" },
  workTree: WorkTree | undefined,
): Promise<PlanRevision> {
  const { path } = location;
  if (workTree === undefined) return { commit: null, dirty: false, path };
  const commit = (await resolveCommit(workTree.git, "HEAD")) ?? null;
  const changed = await changedPaths(workTree.git);
  const own = changed
    .map((changedPath) => changedPath.slice(workTree.prefix.length))
    .filter((changedPath) =>
      location.kind === "file" ? changedPath === basename(path) : isFleetFile(changedPath),
    );
  return { commit, dirty: own.length > 0, path };
}

async function readRevision(
  location: { readonly path: string; readonly ref: string },
  environment: GitEnvironment,
): Promise<FleetText> {
  const { path, ref } = location;
  const anchor = await nearestDirectory(resolve(path));
  const workTree = await findWorkTree(anchor, environment);
  if (workTree === undefined) {
    throw new CortexError(
      "fleet_revision_unknown",
      `${path} is not in a git repository, so it has no revision ${ref}`,
      {
        next: "leave --ref out, or name a directory of a git work tree",
        details: { path, ref },
      },
    );
  }
  const commit = await resolveCommit(workTree.git, ref);
  if (commit === undefined) {
    throw new CortexError("fleet_revision_unknown", `the repository of ${path} has no revision ${ref}`, {
      details: { path, ref },
    });
  }
  const below = relative(anchor, resolve(path)).replaceAll("\\", "/");
  const inTree = workTree.prefix + below;
  const listed = await listTree(workTree.git, commit, inTree);
  const directory = inTree === "" || inTree.endsWith("/") ? inTree : `${inTree}/`;
  const files: FleetFile[] = [];
  for (const file of listed.toSorted((left, right) => (left.path < right.path ? -1 : 1))) {
    const isNamed = file.path === inTree;
    const inside = file.path.slice(directory.length);
    if (!isNamed && !isFleetFile(inside)) continue;
    files.push({
      path: isNamed ? path : join(path, inside),
      text: await readObject(workTree.git, file.object),
    });
  }
  return { files, revision: { commit, dirty: false, path } };
}

/** A fleet directory may exist in the wanted revision only: its nearest ancestor still leads to the repository. */
async function nearestDirectory(path: string): Promise<string> {
  if ((await kindOf(path)) === "directory") return path;
  const parent = dirname(path);
  return parent === path ? path : nearestDirectory(parent);
}
