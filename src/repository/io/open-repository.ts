import { join, relative, resolve } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { dataDirectoryOf } from "../../platform/environment.ts";
import { parseFleetPlace } from "../fleet-place.ts";
import { fetchRepository, resolveRemoteRef, type RemotePlace } from "./git-cache.ts";
import { findWorkTree, isBareRepository, isShallowRepository, resolveCommit, type WorkTree } from "./git.ts";
import { readingGit, type GitEnvironment } from "./git-process.ts";
import { readObjects } from "./read-objects.ts";
import { nearestDirectory } from "./paths-on-disk.ts";

export interface FleetLocation {
  /** A directory, one file, or `git+<url>#<ref>:<path>`. */
  readonly path: string;
  /** Read this revision out of git's objects; the work tree is neither read nor touched. */
  readonly ref?: string | undefined;
}

export interface Repository {
  readonly git: SimpleGit;
  /** The texts of objects, by object. Throws `fleet_unreachable`. */
  readonly readObjects: (objects: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  readonly isRemote: boolean;
  readonly pathInTree: string;
  /** Where it was fetched from; undefined for one that is here, whose own remote says it. */
  readonly remoteUrl: string | undefined;
  readonly shownPath: string;
  /** The place as errors and plans name it. */
  readonly name: string;
  /** The commit that the location asks for. */
  readonly head: () => Promise<string>;
  /** Throws `fleet_revision_unknown`. */
  readonly resolve: (ref: string) => Promise<string>;
}

/** Where the revisions of a fleet are read. Throws `fleet_revision_unknown` outside of git. */
export function openRepository(location: FleetLocation, environment: GitEnvironment): Promise<Repository> {
  const place = parseFleetPlace(location.path);
  return place.kind === "git"
    ? openRemote(place, location.ref ?? place.ref, environment)
    : openLocal(location, environment);
}

async function openRemote(
  place: RemotePlace,
  head: string | undefined,
  environment: GitEnvironment,
): Promise<Repository> {
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
    readObjects: (objects) => readObjects(git, objects, environment),
    isRemote: true,
    pathInTree: place.path,
    remoteUrl: place.url,
    shownPath: place.path,
    name: place.shown,
    head: () => commitOf(head),
    resolve: commitOf,
  };
}

async function openLocal(location: FleetLocation, environment: GitEnvironment): Promise<Repository> {
  const { path, ref } = location;
  const anchor = await nearestDirectory(resolve(path));
  const tree = (await findWorkTree(anchor, environment)) ?? (await bareTree(anchor, location, environment));
  if (tree === undefined) {
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
    const commit = await resolveCommit(tree.git, wanted);
    if (commit !== undefined) return commit;
    const isCut = await isShallowRepository(tree.git);
    const cut = isCut ? ": it is a shallow clone, which has the latest commits only" : "";
    throw new CortexError(
      "fleet_revision_unknown",
      `the repository of ${path} has no revision ${wanted}${cut}`,
      {
        details: { path, ref: wanted },
        ...(isCut ? { next: FETCH_ALL } : {}),
        ...(wanted === "HEAD"
          ? { next: 'commit the fleet first: git add --all && git commit --message "A fleet"' }
          : {}),
      },
    );
  };
  return {
    git: tree.git,
    readObjects: (objects) => readObjects(tree.git, objects, environment),
    isRemote: false,
    pathInTree: tree.prefix + relative(anchor, resolve(path)).replaceAll("\\", "/"),
    remoteUrl: undefined,
    shownPath: path,
    name: path,
    head: () => commitOf(ref ?? "HEAD"),
    resolve: commitOf,
  };
}

/** What a clone that is cut off needs. */
export const FETCH_ALL =
  "git fetch --unshallow, and the branch itself: git fetch origin BRANCH; in CI let the checkout have fetch-depth: 0";

/** A repository without a work tree has revisions all the same; below it a path is one of the commit. */
async function bareTree(
  directory: string,
  { path, ref }: FleetLocation,
  environment: GitEnvironment,
): Promise<Pick<WorkTree, "git" | "prefix"> | undefined> {
  if (!(await isBareRepository(directory, environment))) return undefined;
  if (ref !== undefined) return { git: readingGit(directory, environment), prefix: "" };
  throw new CortexError("fleet_revision_unknown", `${path} is a repository without a work tree`, {
    next: "name a revision with --ref",
    details: { path },
  });
}
