import { stat, truncate } from "node:fs/promises";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import { MIB_BYTES } from "../../../core/quantities.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { ModelWorker } from "../../residency/io/model-worker.ts";
import { signalGroup } from "./insist.ts";

const LOOK_EVERY_MS = 10_000;
const ANSWER_MS = 30_000;
/** In a row: a machine that swaps is slow, and a worker that is killed takes its requests along. */
const MISSES_UNTIL_WEDGED = 3;
const LONGEST_LOG_BYTES = 8 * MIB_BYTES;

/**
 * Asks a loaded worker for its health as long as it runs. Its process answers beside whatever it computes, so one that
 * does not for over a minute is wedged: it is killed, and the model comes back like after any other death. Its log is
 * kept short on the way.
 */
export async function watchWorker(
  worker: ModelWorker,
  { clock, logger, ended }: { readonly clock: Clock; readonly logger: Logger; readonly ended: AbortSignal },
): Promise<void> {
  let misses = 0;
  while (await sleptThrough(clock, LOOK_EVERY_MS, ended)) {
    await keepLogShort(worker.address.logPath);
    if (worker.stopRequested) return;
    misses = (await answers(worker, { clock, ended })) ? 0 : misses + 1;
    if (misses < MISSES_UNTIL_WEDGED || ended.aborted || worker.stopRequested) continue;
    const silentSecs = (MISSES_UNTIL_WEDGED * ANSWER_MS) / 1000;
    logger.error({ pid: worker.pid, silentSecs }, "worker does not answer any more: it is killed");
    signalGroup(worker.pid ?? undefined, "SIGKILL");
    return;
  }
}

async function answers(
  { http }: ModelWorker,
  { clock, ended }: { readonly clock: Clock; readonly ended: AbortSignal },
): Promise<boolean> {
  try {
    await withDeadline({ clock, timeoutMs: ANSWER_MS, signal: ended }, async (signal) => {
      const { body } = await http.request({ method: "GET", path: "/health", signal });
      await body.dump();
    });
    return true;
  } catch {
    return false;
  }
}

/** Workers append, so what is cut off at the front of their time is not missed by them. */
async function keepLogShort(path: string): Promise<void> {
  const size = await stat(path).then(
    (facts) => facts.size,
    () => 0,
  );
  if (size > LONGEST_LOG_BYTES) await truncate(path, 0).catch(() => undefined);
}
