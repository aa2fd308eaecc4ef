import { by } from "../../core/order.ts";
import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import type { FleetFile } from "../../fleet/text/source-lines.ts";
import { dataDirectoryOf } from "../../platform/environment.ts";
import type { PlanRevision } from "../../protocol/plan-document.ts";
import { parseFleetPlace } from "../fleet-place.ts";
import {
  changedPaths,
  findWorkTree,
  isBareRepository,
  mergeBase,
  resolveCommit,
  type GitEnvironment,
  type WorkTree,
} from "./git.ts";
import { isFleetFile, readRevisionFiles } from "./revision-files.ts";
import { fetchRepository, resolveRemoteRef } from "./git-cache.ts";

export interface FleetLocation {
  /** A directory, one file, or `git+<url>#<ref>:<path>`. */
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
 * Throws `fleet_not_found` for a path without a fleet, `fleet_revision_unknown` for a ref that names no commit,
 * `fleet_unreachable` for a remote that git cannot fetch.
 */
export async function readFleet(location: FleetLocation, environment: GitEnvironment): Promise<FleetText> {
  const place = parseFleetPlace(location.path);
  if (place.kind === "local" && location.ref === undefined) {
    return refuseNothing(await readWorkTree(place.path, environment), place.path);
  }
  const repository = await openRepository(location, environment);
  return readCommit(repository, await repository.head());
}

/**
 * The fleet and what it was where its branch left `base`: the difference is what the branch changes, whatever happened
 * on `base` since. `base` is undefined when there was no fleet file then.
 */
export async function readFleetAndBase(
  location: FleetLocation & { readonly base: string },
  environment: GitEnvironment,
): Promise<{ readonly head: FleetText; readonly base: FleetText | undefined }> {
  const repository = await openRepository(location, environment);
  const headCommit = await repository.head();
  const baseTip = await repository.resolve(location.base);
  const baseCommit = (await mergeBase(repository.git, baseTip, headCommit)) ?? baseTip;
  const base = await textAt(repository, baseCommit);
  const isWorkTree = !repository.isRemote && location.ref === undefined;
  const head = isWorkTree ? await readFleet(location, environment) : await readCommit(repository, headCommit);
  return { head, base: base.files.length === 0 ? undefined : base };
}

export interface Repository {
  readonly git: SimpleGit;
  readonly isRemote: boolean;
  readonly pathInTree: string;
  readonly shownPath: string;
  /** The place as errors and plans name it. */
  readonly name: string;
  /** The commit that the location asks for. */
  readonly head: () => Promise<string>;
  /** Throws `fleet_revision_unknown`. */
  readonly resolve: (ref: string) => Promise<string>;
  /** Of a path from the top of the work tree; absent where there is none. */
  readonly isFleetOnDisk?: (path: string) => Promise<boolean>;
}

/** The text of a fleet at a revision of a repository that is open: a remote is not asked again. */
export const readFleetAt = async (repository: Repository, ref: string): Promise<FleetText> =>
  readCommit(repository, await repository.resolve(ref));

async function readCommit(repository: Repository, commit: string): Promise<FleetText> {
  return refuseNothing(await textAt(repository, commit), `${repository.name} at ${commit.slice(0, 8)}`);
}

async function textAt(repository: Repository, commit: string): Promise<FleetText> {
  const files = await readRevisionFiles({ ...repository, commit });
  return { files, revision: { commit, dirty: false, path: repository.name } };
}

function refuseNothing(fleet: FleetText, where: string): FleetText {
  if (fleet.files.length > 0) return fleet;
  throw new CortexError("fleet_not_found", `there is no .toml file in ${where}`, {
    details: { path: fleet.revision.path },
    next: "name the fleet directory with --config; `cortex init` makes one",
  });
}

/** Where the revisions of a fleet are read. Throws `fleet_revision_unknown` outside of git. */
export function openRepository(location: FleetLocation, environment: GitEnvironment): Promise<Repository> {
  return parseFleetPlace(location.path).kind === "git"
    ? openRemote(location, environment)
    : openLocal(location, environment);
}

async function openRemote(location: FleetLocation, environment: GitEnvironment): Promise<Repository> {
  const place = parseFleetPlace(location.path);
  if (place.kind !== "git") return openLocal(location, environment);
  const cacheDirectory = join(dataDirectoryOf(environment.inherited), "git");
  const git = await fetchRepository(place, { cacheDirectory, environment });
  const commitOf = async (ref: string | undefined): Promise<string> => {
    const commit = await resolveRemoteRef(git, place, ref);
    if (commit !== undefined) return commit;
    const message =
      ref === undefined ? `${place.url} has no default branch` : `${place.url} has no revision ${ref}`;
    throw new CortexError("fleet_revision_unknown", message, {
      next: `git ls-remote ${place.url} lists its branches`,
    });
  };
  return {
    git,
    isRemote: true,
    pathInTree: place.path,
    shownPath: place.path,
    name: place.shown,
    head: () => commitOf(location.ref ?? place.ref),
    resolve: commitOf,
  };
}

async function openLocal(location: FleetLocation, environment: GitEnvironment): Promise<Repository> {
  const { path, ref } = location;
  const anchor = await nearestDirectory(resolve(path));
  const workTree = await findWorkTree(anchor, environment);
  if (workTree === undefined && (await isBareRepository(anchor, environment))) {
    throw new CortexError("fleet_revision_unknown", `${path} is a repository without a work tree`, {
      next: `name it as one: --config git+${resolve(path)}#${ref ?? "main"}`,
      details: { path },
    });
  }
  if (workTree === undefined) {
    const wanted = ref === undefined ? "revisions" : `revision ${ref}`;
    throw new CortexError(
      "fleet_revision_unknown",
      `${path} is not in a git repository, so it has no ${wanted}`,
      {
        next: "leave --ref and --base out, or name a directory of a git work tree",
        details: { path },
      },
    );
  }
  const commitOf = async (wanted: string): Promise<string> => {
    const commit = await resolveCommit(workTree.git, wanted);
    if (commit !== undefined) return commit;
    throw new CortexError("fleet_revision_unknown", `the repository of ${path} has no revision ${wanted}`, {
      details: { path, ref: wanted },
      ...(wanted === "HEAD"
        ? { next: 'commit the fleet first: git add --all && git commit --message "A fleet"' }
        : {}),
    });
  };
  const top = resolve(anchor, "../".repeat(workTree.prefix.split("/").length - 1));
  return {
    git: workTree.git,
    isRemote: false,
    isFleetOnDisk: async (below) => {
      const directory = join(top, below);
      return (await kindOf(directory)) === "directory" && hasFleetFiles(directory);
    },
    pathInTree: workTree.prefix + relative(anchor, resolve(path)).replaceAll("\\", "/"),
    shownPath: path,
    name: path,
    head: () => commitOf(ref ?? "HEAD"),
    resolve: commitOf,
  };
}

async function readWorkTree(path: string, environment: GitEnvironment): Promise<FleetText> {
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

async function kindOf(path: string): Promise<"file" | "directory" | "absent"> {
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
): Promise<PlanRevision> {
  const { path } = location;
  if (workTree === undefined) return { commit: null, dirty: false, path };
  const commit = (await resolveCommit(workTree.git, "HEAD")) ?? null;
  const pathspec = location.kind === "file" ? `:(literal)${basename(path)}` : "*.toml";
  const changed = await changedPaths(workTree.git, pathspec);
  const own = changed
    .map((changedPath) => changedPath.slice(workTree.prefix.length))
    .filter((changedPath) =>
      location.kind === "file" ? changedPath === basename(path) : isFleetFile(changedPath),
    );
  return { commit, dirty: own.length > 0, path };
}

/** A fleet directory may exist in the wanted revision only: its nearest ancestor still leads to the repository. */
async function nearestDirectory(path: string): Promise<string> {
  if ((await kindOf(path)) === "directory") return path;
  const parent = dirname(path);
  return parent === path ? path : nearestDirectory(parent);
}
