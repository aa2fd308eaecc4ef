/** What a loaded copy says of the fleet that had it loaded; absent where it does not. */
export interface FleetOfCopy {
  readonly fleet?: string | undefined;
  /** Marks of its repository. */
  readonly repository?: readonly string[] | undefined;
}

/** Who calls copies its own: the fleet's name, and what tells its repository from others. */
export interface FleetOwner {
  readonly name: string;
  /** Marks as a load's origin bears them; undefined where the fleet was read outside of git. */
  readonly repository?: readonly string[] | undefined;
}

/**
 * The fleet that had a copy loaded, as this one calls it: one of the same name from another repository is `name#mark`,
 * and so another fleet like any. A copy without marks goes by the name alone.
 */
export function fleetOfOrigin({ fleet, repository }: FleetOfCopy, own: FleetOwner): string | undefined {
  const [mark] = repository ?? [];
  if (fleet !== own.name || mark === undefined) return fleet;
  return isElsewhere(repository ?? [], own.repository ?? []) ? `${fleet}#${mark}` : fleet;
}

/**
 * One mark in common is enough: a repository that moved to another host has its first commit still. Without any it is
 * another one, or nobody can tell; what may be somebody else's is left alone.
 */
const isElsewhere = (theirs: readonly string[], ours: readonly string[]): boolean =>
  !theirs.some((mark) => ours.includes(mark));
