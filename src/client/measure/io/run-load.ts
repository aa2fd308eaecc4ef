import type { Clock } from "../../../core/clock.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import { toCortexError } from "../../../core/errors.ts";
import type { LoadMode } from "../../../protocol/findings/bench-report.ts";
import type { MeasuredAnswer, MeasuredRequest } from "../measured-load.ts";
import { randomFrom } from "../prompts.ts";

export interface LoadPlan {
  readonly mode: LoadMode;
  readonly requests: number;
  /** The `at`th question, due at a monotonic time. */
  readonly ask: (at: number, dueMs: number) => Promise<MeasuredAnswer>;
  readonly onProgress?: (done: number) => void;
  /** Begins no more; what is under way is waited for. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly seed: number;
}

export interface LoadOutcome {
  readonly requests: readonly MeasuredRequest[];
  readonly wallMs: number;
}

/** Sends the load; a request that fails is counted and does not end it. */
export async function runLoad(plan: LoadPlan): Promise<LoadOutcome> {
  const { clock, mode, onProgress } = plan;
  const beganMs = clock.monotonicMs();
  const measured: MeasuredRequest[] = [];
  const askOne = async (at: number, dueMs: number): Promise<void> => {
    try {
      measured.push({ kind: "answered", ...(await plan.ask(at, dueMs)) });
    } catch (thrown) {
      const { code, message } = toCortexError(thrown);
      measured.push({ kind: "failed", code, message });
    }
    onProgress?.(measured.length);
  };
  if (mode.kind === "closed") await closedLoop(plan, mode.clients, askOne);
  else await openLoop(plan, mode.perSecond, askOne);
  return { requests: measured, wallMs: clock.monotonicMs() - beganMs };
}

type AskOne = (at: number, dueMs: number) => Promise<void>;

async function closedLoop(
  { requests, clock, signal }: LoadPlan,
  clients: number,
  askOne: AskOne,
): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < requests && !signal.aborted) {
      const at = next;
      next += 1;
      await askOne(at, clock.monotonicMs());
    }
  };
  await Promise.all(Array.from({ length: Math.min(clients, requests) }, client));
}

/** Arrivals that know nothing of each other: the time between two is as long as chance has it, and the same in every run. */
async function openLoop(
  { requests, clock, signal, seed }: LoadPlan,
  perSecond: number,
  askOne: AskOne,
): Promise<void> {
  const random = randomFrom(seed);
  const underWay: Promise<void>[] = [];
  let dueMs = clock.monotonicMs();
  for (let at = 0; at < requests; at += 1) {
    const waitMs = dueMs - clock.monotonicMs();
    if (waitMs > 0 && !(await sleptThrough(clock, waitMs, signal))) break;
    if (signal.aborted) break;
    underWay.push(askOne(at, dueMs));
    dueMs += (-Math.log(1 - random()) / perSecond) * 1000;
  }
  await Promise.all(underWay);
}
