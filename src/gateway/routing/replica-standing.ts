/**
 * How a replica has done of late. A replica that fails fast has the least work of all, and would get every request:
 * so failures count as work, and after some in a row it is left out for a while, until one request has tried it.
 */
export interface ReplicaStanding {
  /** Of late, 0 to 1: each outcome moves it, and time lets it go. */
  readonly errorShare: number;
  readonly atMs: number;
  readonly failuresInRow: number;
  /** Left out until then; null while it is trusted. */
  readonly shutUntilMs: number | null;
  /** A request is on its way to find out whether it serves again. */
  readonly isProbed: boolean;
}

export const GOOD_STANDING: ReplicaStanding = {
  errorShare: 0,
  atMs: 0,
  failuresInRow: 0,
  shutUntilMs: null,
  isProbed: false,
};

const FAILURES_UNTIL_SHUT = 3;
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 30_000;
/** What one outcome weighs. */
const WEIGHT = 0.3;
const HALF_LIFE_MS = 30_000;
/** Requests that a replica which always fails is thought to have more than it has. */
const WORK_OF_FAILURES = 8;

export function afterOutcome(
  before: ReplicaStanding,
  outcome: "served" | "failed",
  nowMs: number,
): ReplicaStanding {
  const share = errorShareAt(before, nowMs) * (1 - WEIGHT);
  if (outcome === "served") {
    return { errorShare: share, atMs: nowMs, failuresInRow: 0, shutUntilMs: null, isProbed: false };
  }
  const failuresInRow = before.failuresInRow + 1;
  const rests = failuresInRow - FAILURES_UNTIL_SHUT;
  const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.max(0, rests));
  return {
    errorShare: share + WEIGHT,
    atMs: nowMs,
    failuresInRow,
    shutUntilMs: rests < 0 ? null : nowMs + restMs,
    isProbed: false,
  };
}

/** A request is sent there: it is the probe when one is due. */
export const afterSending = (before: ReplicaStanding, nowMs: number): ReplicaStanding =>
  isProbeDue(before, nowMs) ? { ...before, isProbed: true } : before;

/** The probe came to nothing that tells: its client left. The next request is one. */
export const afterNoOutcome = (before: ReplicaStanding): ReplicaStanding =>
  before.isProbed ? { ...before, isProbed: false } : before;

/** Taken only when nothing else serves. */
export const isLeftOut = (standing: ReplicaStanding, nowMs: number): boolean =>
  standing.shutUntilMs !== null && !isProbeDue(standing, nowMs);

/** Not to be asked yet, whoever waits. */
export const isResting = ({ shutUntilMs }: ReplicaStanding, nowMs: number): boolean =>
  shutUntilMs !== null && nowMs < shutUntilMs;

/** It has rested, and nobody has tried it since. */
export const isProbeDue = ({ shutUntilMs, isProbed }: ReplicaStanding, nowMs: number): boolean =>
  shutUntilMs !== null && nowMs >= shutUntilMs && !isProbed;

/** To be added to the requests that it has; whole, so that it comes to nothing in the end. */
export const workOfFailures = (standing: ReplicaStanding, nowMs: number): number =>
  Math.round(errorShareAt(standing, nowMs) * WORK_OF_FAILURES);

const errorShareAt = ({ errorShare, atMs }: ReplicaStanding, nowMs: number): number =>
  errorShare === 0 ? 0 : errorShare * 0.5 ** (Math.max(0, nowMs - atMs) / HALF_LIFE_MS);
