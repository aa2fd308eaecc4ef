import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitError, type SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { maskSecrets } from "../../fleet/text/mask-secrets.ts";
import type { FleetPlace } from "../fleet-place.ts";
import { saysLocked, saysNoRemoteHead, tellingLine } from "../git-complaints.ts";
import { isCommitId } from "../parse-revision.ts";
import { fetchingGit, type GitEnvironment, type Remote } from "./git-process.ts";
import { resolveCommit } from "./git.ts";

export type RemotePlace = Extract<FleetPlace, { readonly kind: "git" }>;

/** Everything a fleet could be read from, under names of the cache's own: branches and tags, and the default branch. */
const REFSPECS = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
const DEFAULT_REF = "refs/fetched/default";
const LOCK_ATTEMPTS = 3;

/**
 * A bare copy of a remote repository, brought up to date. It is kept below the data directory, so that the next look
 * fetches only what is new; nothing is ever read from it without asking the remote first, and no address with a
 * password is ever stored in it. Throws `fleet_unreachable` with git's own words.
 */
export async function fetchRepository(
  place: RemotePlace,
  options: { readonly cacheDirectory: string; readonly environment: GitEnvironment },
): Promise<SimpleGit> {
  try {
    const git = await openCache(place, options);
    await fetchRefs(git, place, LOCK_ATTEMPTS);
    return git;
  } catch (thrown) {
    throw unreachable(place, thrown);
  }
}

/** The bare copy as it is, made if it is not there yet; the remote is not asked. */
export async function openCache(
  remote: Remote,
  options: { readonly cacheDirectory: string; readonly environment: GitEnvironment },
): Promise<SimpleGit> {
  const name = createHash("sha256").update(remote.url).digest("hex").slice(0, 24);
  const directory = join(options.cacheDirectory, `${name}.git`);
  await makeOnce(directory, options.environment, remote);
  return fetchingGit(directory, { environment: options.environment, remote });
}

/** Makes the bare repository beside its place and moves it there: nobody ever meets half of one. */
async function makeOnce(directory: string, environment: GitEnvironment, remote: Remote): Promise<void> {
  if (await isDirectory(directory)) return;
  await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(`${directory}.new-`);
  await fetchingGit(fresh, { environment, remote }).raw(["init", "--bare", "--quiet", "--template="]);
  try {
    await rename(fresh, directory);
  } catch (thrown) {
    await rm(fresh, { recursive: true, force: true });
    // Another process was faster, and its repository is as good.
    if (!(await isDirectory(directory))) throw thrown;
  }
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function fetchRefs(git: SimpleGit, place: RemotePlace, attempts: number): Promise<void> {
  try {
    await fetchRefspecs(git, place.url, [...REFSPECS, `+HEAD:${DEFAULT_REF}`]);
  } catch (thrown) {
    if (thrown instanceof GitError && saysNoRemoteHead(thrown.message)) {
      // The repository has branches, but its HEAD names one that is not there; who names a branch needs no HEAD.
      await git.raw(["update-ref", "-d", DEFAULT_REF]);
      await fetchRefspecs(git, place.url, REFSPECS);
      return;
    }
    // Two processes that fetch at once meet at git's own locks; whoever comes second finds little left to do.
    const isLocked = thrown instanceof GitError && saysLocked(thrown.message);
    if (!isLocked || attempts <= 1) throw thrown;
    await fetchRefs(git, place, attempts - 1);
  }
}

const fetchRefspecs = (git: SimpleGit, url: string, refspecs: readonly string[]): Promise<string> =>
  git.raw([
    "fetch",
    "--quiet",
    "--prune",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--",
    url,
    ...refspecs,
  ]);

/** The commit of a branch, a tag, a commit id or an expression over them (`main~1`); the default branch without ref. */
export async function resolveRemoteRef(
  git: SimpleGit,
  place: RemotePlace,
  ref: string | undefined,
): Promise<string | undefined> {
  if (ref === undefined) return resolveCommit(git, DEFAULT_REF);
  for (const candidate of [`refs/remotes/origin/${ref}`, `refs/tags/${ref}`, ref]) {
    const commit = await resolveCommit(git, candidate);
    if (commit !== undefined) return commit;
  }
  return isCommitId(ref) ? fetchCommit(git, place, ref) : undefined;
}

/** A commit that no branch holds any more can still be asked for, where the host allows it. */
async function fetchCommit(git: SimpleGit, place: RemotePlace, commit: string): Promise<string | undefined> {
  try {
    await git.raw([
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-write-fetch-head",
      "--",
      place.url,
      `+${commit}:refs/fetched/${commit}`,
    ]);
  } catch (thrown) {
    if (thrown instanceof GitError) return undefined;
    throw thrown;
  }
  return resolveCommit(git, commit);
}

export function unreachable(place: Pick<Remote, "url">, thrown: unknown): CortexError {
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  const said = maskSecrets(tellingLine(words));
  return new CortexError("fleet_unreachable", `git cannot fetch ${place.url}: ${said}`, {
    details: { url: place.url },
    next: `git ls-remote ${place.url} must work here; git asks nobody for a password`,
  });
}
