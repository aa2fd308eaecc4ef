import { CortexError } from "../../../core/errors.ts";
import type { LockRecord, Operator } from "../../../protocol/refs/lock-record.ts";
import { openSharedRefs, type RefTip } from "../../../repository/io/shared-refs.ts";
import type { FleetGit } from "../../../repository/io/fleet-git.ts";
import type { FleetLocation } from "../../../repository/io/open-repository.ts";
import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import type { LockStore } from "../lock-store.ts";
import { LOCK_REFS } from "../lock-refs.ts";
import { operatorName, parseLockMessage } from "../lock-text.ts";
import { createGitLock } from "./git-lock.ts";

export interface LockLocation {
  /** Where the fleet files are. */
  readonly path: string;
  /** `repo` of `[gitops]`. */
  readonly repo?: string | undefined;
}

/** A lock that somebody holds. */
export interface ListedLock {
  readonly fleet: string;
  /** Null where this version cannot read it. */
  readonly record: LockRecord | null;
}

/** The lock of one fleet on its neurons, for where no remote keeps it. */
export interface FleetLease {
  readonly fleet: string;
  readonly store: LockStore;
}

/**
 * Every lock of the fleet repository's remote, by fleet; without a remote, and where nobody holds one there, the lease on the
 * neurons. Throws `fleet_unreachable`.
 */
export async function listLocks(
  location: LockLocation,
  environment: GitEnvironment,
  lease?: FleetLease,
): Promise<{ readonly place: string; readonly locks: readonly ListedLock[] }> {
  const refs = await openSharedRefs(location, environment);
  if (refs === undefined && lease === undefined) throw nowhere(location);
  const tips = (await refs?.read([`${LOCK_REFS}*`])) ?? new Map<string, RefTip>();
  const locks = [...tips].map(([ref, { message }]) => ({
    fleet: ref.slice(LOCK_REFS.length),
    record: parseLockMessage(message) ?? null,
  }));
  if (lease === undefined || locks.length > 0) return { place: refs?.shown ?? "", locks };
  return listLease(lease, refs?.shown);
}

/** `remote`: where nobody holds one; there neurons that are silent or old say nothing. */
async function listLease(
  { fleet, store }: FleetLease,
  remote: string | undefined,
): Promise<{ readonly place: string; readonly locks: readonly ListedLock[] }> {
  const seen = await (remote === undefined ? store.read() : store.read().catch(() => undefined));
  const locks = seen?.record === undefined ? [] : [{ fleet, record: seen.record }];
  return { place: remote === undefined ? store.shown : `${remote}, or on ${store.shown}`, locks };
}

/** Takes a lock away from whoever holds it. Its epoch stays used up, so that its holder cannot act any more. */
export async function releaseLock(
  location: LockLocation & { readonly id: string },
  {
    environment,
    operator,
    lease,
  }: {
    readonly environment: GitEnvironment;
    readonly operator: Operator;
    readonly lease?: FleetLease | undefined;
  },
): Promise<LockRecord> {
  const { locks, place } = await listLocks(location, environment, lease);
  const record = locks.find((lock) => lock.record?.id === location.id)?.record ?? undefined;
  if (record === undefined)
    throw new CortexError("lock_not_found", `nobody holds a lock ${location.id} at ${place}`);
  const refs = await openSharedRefs(location, environment);
  const stores = [
    ...(refs === undefined ? [] : [createGitLock(refs, { fleet: record.fleet, operator })]),
    ...(lease === undefined ? [] : [lease.store]),
  ];
  const message = `lock ${record.id} of ${operatorName(record.holder)} released by ${operatorName(operator)}`;
  for (const store of stores) {
    const seen = await store.read();
    if (seen.token === undefined || seen.record?.id !== record.id) continue;
    if (await store.drop(seen.token, { message, files: {}, epoch: record.epoch })) return record;
  }
  throw new CortexError("lock_not_found", `the lock ${record.id} moved while it was released`, {
    next: "its holder is alive: cortex lock ls",
  });
}

const nowhere = ({ path }: LockLocation): CortexError =>
  new CortexError(
    "lock_not_found",
    `${path} has no git remote and no fleet in it, so no lock is kept there`,
    {
      next: "name the fleet repository with --config: a clone of it, or git+<url>",
    },
  );

/**
 * Where the lock of a fleet is kept, at the first of these places that has the fleet: a saved plan may be carried out in any
 * directory, and what another fleet keeps there is not touched. Undefined where its repository has no remote.
 */
export async function openLockStore(
  fleet: string,
  places: readonly FleetLocation[],
  { git, environment, operator }: LockDeps,
): Promise<LockStore | undefined> {
  for (const place of places) {
    const loaded = await git.load(place).catch(() => undefined);
    if (loaded?.fleet.fleet.name !== fleet) continue;
    const refs = await openSharedRefs({ path: place.path, repo: loaded.fleet.gitops.repo }, environment);
    return refs === undefined ? undefined : createGitLock(refs, { fleet, operator });
  }
  return undefined;
}

export interface LockDeps {
  readonly git: FleetGit;
  readonly environment: GitEnvironment;
  readonly operator: Operator;
}
