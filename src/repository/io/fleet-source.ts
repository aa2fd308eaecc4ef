import { CortexError } from "../../core/errors.ts";
import { parseFleetPlace } from "../fleet-place.ts";
import { isShallowRepository, mergeBase } from "./git.ts";
import type { GitEnvironment } from "./git-process.ts";
import { FETCH_ALL, openRepository, type FleetLocation, type Repository } from "./open-repository.ts";
import { directoryOfFleet } from "../fleet-marks.ts";
import { repositoryMarks } from "./repository-marks.ts";
import { readRevisionFiles } from "./revision-files.ts";
import { readWorkTree, type FleetText } from "./work-tree.ts";

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
  const baseCommit = await forkOf(repository, { base: location.base, baseTip, headCommit });
  const base = await textAt(repository, baseCommit);
  const isWorkTree = !repository.isRemote && location.ref === undefined;
  const head = isWorkTree ? await readFleet(location, environment) : await readCommit(repository, headCommit);
  return { head, base: base.files.length === 0 ? undefined : base };
}

/** Where the branch left the base; the base itself where they have nothing in common. */
async function forkOf(
  { git, name }: Repository,
  commits: { readonly base: string; readonly baseTip: string; readonly headCommit: string },
): Promise<string> {
  const { base, baseTip, headCommit } = commits;
  const fork = await mergeBase(git, baseTip, headCommit);
  if (fork !== undefined) return fork;
  if (!(await isShallowRepository(git))) return baseTip;
  const message = `the repository of ${name} does not have the commit where this branch left ${base}: it is a shallow clone`;
  throw new CortexError("fleet_revision_unknown", message, { next: FETCH_ALL });
}

/** The text of a fleet at a revision of a repository that is open: a remote is not asked again. */
export const readFleetAt = async (repository: Repository, ref: string): Promise<FleetText> =>
  readCommit(repository, await repository.resolve(ref));

async function readCommit(repository: Repository, commit: string): Promise<FleetText> {
  return refuseNothing(await textAt(repository, commit), `${repository.name} at ${commit.slice(0, 8)}`);
}

async function textAt(repository: Repository, commit: string): Promise<FleetText> {
  const files = await readRevisionFiles({ ...repository, commit });
  const { git, remoteUrl } = repository;
  const marks = await repositoryMarks(git, { commit, path: directoryOfFleet(files, repository), remoteUrl });
  return { files, revision: { commit, dirty: false, path: repository.name, ...marks } };
}

function refuseNothing(fleet: FleetText, where: string): FleetText {
  if (fleet.files.length > 0) return fleet;
  throw new CortexError("fleet_not_found", `there is no .toml file in ${where}`, {
    details: { path: fleet.revision.path },
    next: "name the fleet directory with --config; `cortex init` makes one",
  });
}
