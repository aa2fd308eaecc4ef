import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { maskSecrets } from "../../../fleet/text/mask-secrets.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import type { Suspension } from "../../../protocol/refs/suspension-record.ts";
import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import { openSharedRefs, type SharedRefs } from "../../../repository/io/shared-refs.ts";
import { nameSuspensionRef } from "../../lock/lock-refs.ts";
import { readSuspension, suspensionMessage, type Hold } from "../hold.ts";

export interface SuspendedFleet {
  readonly path: string;
  readonly repo?: string | undefined;
  readonly fleet: string;
}

/** What is asked of the loops of a fleet now. Throws `fleet_unreachable`. */
export async function lookForSuspension(
  location: SuspendedFleet,
  environment: GitEnvironment,
  nowMs: number,
): Promise<Hold | undefined> {
  const refs = await openSharedRefs(location, environment);
  if (refs === undefined) return undefined;
  const ref = nameSuspensionRef(location.fleet);
  return readSuspension((await refs.read([ref])).get(ref)?.message, nowMs);
}

export interface SuspendOptions {
  readonly reason: string;
  /** Without it until somebody resumes. */
  readonly forMs: number | undefined;
  readonly operator: Operator;
  readonly clock: Clock;
}

/** Takes the place of a suspension that is there. Throws `refs_not_writable` where nobody may ask. */
export async function suspendLoops(
  location: SuspendedFleet,
  environment: GitEnvironment,
  { reason, forMs, operator, clock }: SuspendOptions,
): Promise<Suspension> {
  const nowMs = clock.nowMs();
  const suspension: Suspension = {
    version: 1,
    fleet: location.fleet,
    reason: maskSecrets(reason),
    by: operator,
    since: new Date(nowMs).toISOString(),
    until: forMs === undefined ? null : new Date(nowMs + forMs).toISOString(),
  };
  const refs = await remoteOf(location, environment);
  const author = { name: operator.user, email: `${operator.user}@${operator.host}` };
  const next = await refs.commit({
    message: suspensionMessage(suspension),
    parent: undefined,
    files: {},
    author,
  });
  await swapUntilTaken(refs, location.fleet, next);
  return suspension;
}

/** False when nobody had suspended them. */
export async function resumeLoops(location: SuspendedFleet, environment: GitEnvironment): Promise<boolean> {
  return swapUntilTaken(await remoteOf(location, environment), location.fleet, undefined);
}

/** Two people at once: the last word counts, whatever it is. */
async function swapUntilTaken(refs: SharedRefs, fleet: string, next: string | undefined): Promise<boolean> {
  const ref = nameSuspensionRef(fleet);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const expected = (await refs.read([ref])).get(ref)?.commit;
    if (expected === undefined && next === undefined) return false;
    if (await refs.swap([{ ref, expected, next }])) return true;
  }
  throw new CortexError("fleet_unreachable", `${ref} of ${refs.shown} does not stand still`, {
    next: "try again",
  });
}

const ATTEMPTS = 5;

async function remoteOf(location: SuspendedFleet, environment: GitEnvironment): Promise<SharedRefs> {
  const refs = await openSharedRefs(location, environment);
  if (refs !== undefined) return refs;
  throw new CortexError("history_not_kept", `${location.path} has no git remote, so no loop reads there`);
}
