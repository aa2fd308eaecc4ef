import type { Clock } from "../../../core/clock.ts";
import type { Logger } from "../../../platform/logger.ts";

const STOP_GRACE_MS = 2_000;
const TERM_GRACE_MS = 1_500;

export interface Insistence {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pid: number | undefined;
  /** Aborts when the process is gone. */
  readonly gone: AbortSignal;
  readonly ask: () => void;
  /** What it may need beside the time that an ordinary end takes. */
  readonly extraGraceMs: number;
}

/** Asks a worker to go, then insists: SIGTERM, SIGKILL, each to its whole group. */
export async function insistOnEnd({
  clock,
  logger,
  pid,
  gone,
  ask,
  extraGraceMs,
}: Insistence): Promise<void> {
  ask();
  if (await goneWithin(STOP_GRACE_MS + extraGraceMs, { clock, gone })) return;
  logger.warn({ pid }, "worker ignores the request to stop: SIGTERM");
  signalGroup(pid, "SIGTERM");
  if (await goneWithin(TERM_GRACE_MS, { clock, gone })) return;
  logger.warn({ pid }, "worker ignores SIGTERM: SIGKILL");
  signalGroup(pid, "SIGKILL");
}

async function goneWithin(
  durationMs: number,
  { clock, gone }: Pick<Insistence, "clock" | "gone">,
): Promise<boolean> {
  await clock.sleep(durationMs, gone).catch(() => undefined);
  return gone.aborted;
}

/** The whole group, so that nothing the worker started outlives it. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: the group is gone already, which is what was wanted.
  }
}
