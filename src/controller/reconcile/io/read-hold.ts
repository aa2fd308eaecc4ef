import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { Fleet } from "../../../fleet/schema/fleet-schema.ts";
import type { LoopsHeld } from "../../../protocol/status-report.ts";
import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import { windowHold, type Hold } from "../hold.ts";
import { lookForSuspension } from "./suspension-ref.ts";

interface HeldFleet {
  readonly path: string;
  readonly fleet: Fleet;
}

/** What keeps the loops of a fleet from changing it now. Throws `fleet_unreachable`. */
export async function readHold(
  { path, fleet }: HeldFleet,
  environment: GitEnvironment,
  nowMs: number,
): Promise<Hold | undefined> {
  const location = { path, repo: fleet.gitops.repo, fleet: fleet.fleet.name };
  const suspended = await lookForSuspension(location, environment, nowMs);
  return suspended ?? windowHold(fleet.gitops.windows ?? [], nowMs);
}

/** A look at the fleet waits no longer than this for the remote, */
const SILENCE_MS = 3000;
/** and one that is repeated asks it no more often than this. */
const KEPT_MS = 30_000;

/** The same for people who look at the fleet: never throws. */
export function createHoldReader(
  held: HeldFleet,
  { environment, clock }: { readonly environment: GitEnvironment; readonly clock: Clock },
): () => Promise<LoopsHeld> {
  let last: { readonly atMs: number; readonly answer: Promise<LoopsHeld> } | undefined;
  const ask = async (nowMs: number): Promise<LoopsHeld> => {
    try {
      const hold = await readHold(held, { ...environment, fetchSilenceMs: SILENCE_MS }, nowMs);
      return { hold: hold?.message ?? null, problem: null };
    } catch (thrown) {
      return { hold: null, problem: toCortexError(thrown).message };
    }
  };
  return () => {
    const nowMs = clock.nowMs();
    if (last === undefined || nowMs - last.atMs >= KEPT_MS) last = { atMs: nowMs, answer: ask(nowMs) };
    return last.answer;
  };
}
