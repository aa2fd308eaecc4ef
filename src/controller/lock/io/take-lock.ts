import { randomBytes } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { LockRecord, Operator } from "../../../protocol/refs/lock-record.ts";
import { judgeLock, nextEpoch, watchLock, type LockTime, type LockWatch } from "../judge-lock.ts";
import type { LockStore, SeenLock } from "../lock-store.ts";
import { holderText } from "../lock-text.ts";
import { HeldLock } from "./held-lock.ts";

export interface TakeLockOptions {
  readonly fleet: string;
  readonly operation: string;
  readonly revision: string | null;
  readonly operator: Operator;
  readonly clock: Clock;
  /** How long others may hold it; not at all by default. A lock whose holder is gone is waited for all the same. */
  readonly waitMs?: number | undefined;
  readonly ttlMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** An epoch that is used up elsewhere: the lock gets a higher one. */
  readonly usedEpoch?: number | undefined;
  /** Told once of each holder that is waited for. */
  readonly onWait?: ((text: string) => void) | undefined;
}

/** Long enough for a push over a slow line, short enough to wait for after a crash. */
export const LOCK_TTL_MS = 60_000;
const LONGEST_POLL_MS = 5000;

/** The lock of a fleet, renewed from now on. Throws `lock_held`, naming who holds it and since when. */
export async function takeLock(store: LockStore, options: TakeLockOptions): Promise<HeldLock> {
  const { clock, waitMs = 0 } = options;
  const startMs = clock.monotonicMs();
  let watch: LockWatch | undefined;
  let told = "";
  for (;;) {
    const seen = await store.read();
    const time = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    watch = watchLock(watch, seen, time);
    const verdict = judgeLock(seen, watch, time);
    if (verdict.kind === "unreadable") throw unreadable(store);
    if (verdict.kind === "free" || verdict.kind === "abandoned") {
      const taken = await take(store, seen, options);
      if (taken !== undefined) return taken;
      continue;
    }
    const leftMs = startMs + waitMs - time.monotonicMs;
    // Not moved for long by its own word: a short look tells whether its holder lives.
    const mayWait = verdict.kind === "doubtful" ? Math.max(leftMs, verdict.forMs) : leftMs;
    if (mayWait <= 0) throw held(store, verdict.record, time);
    if (told !== verdict.record.id) {
      told = verdict.record.id;
      options.onWait?.(waitText(verdict, time));
    }
    const pollMs = Math.min(
      mayWait,
      verdict.forMs,
      Math.max(50, Math.min(LONGEST_POLL_MS, verdict.record.ttl_ms / 8)),
    );
    await clock.sleep(pollMs, options.signal);
  }
}

async function take(
  store: LockStore,
  seen: SeenLock,
  options: TakeLockOptions,
): Promise<HeldLock | undefined> {
  const { clock, fleet, operation, revision, operator: holder, ttlMs = LOCK_TTL_MS } = options;
  const sentMs = clock.monotonicMs();
  const now = new Date(clock.nowMs()).toISOString();
  const record: LockRecord = {
    version: 1,
    id: randomBytes(4).toString("hex"),
    fleet,
    operation,
    holder,
    revision,
    epoch: Math.max(nextEpoch(seen), (options.usedEpoch ?? 0) + 1),
    ttl_ms: ttlMs,
    acquired_at: now,
    renewed_at: now,
    renewals: 0,
  };
  const token = await store.swap(seen.token, record);
  if (token === undefined) return undefined;
  const lock = new HeldLock({ store, clock, token, record, takenMs: sentMs });
  // Between the look and the push another apply may have come and gone, and used up the number.
  const again = await store.read();
  const spent = again.lastEpoch >= record.epoch;
  if (spent && !(await lock.raiseEpoch(again.lastEpoch + 1))) return undefined;
  lock.start();
  return lock;
}

const waitText = (
  verdict: { readonly kind: "held" | "doubtful"; readonly record: LockRecord; readonly forMs: number },
  { nowMs }: LockTime,
): string =>
  verdict.kind === "held"
    ? `Waiting: ${holderText(verdict.record, nowMs)}.`
    : `${holderText(verdict.record, nowMs)}: longer than it may. Watching it for ${Math.ceil(verdict.forMs / 1000)} s before it is broken.`;

function held(store: LockStore, record: LockRecord, { nowMs }: LockTime): CortexError {
  return new CortexError("lock_held", holderText(record, nowMs), {
    details: { place: store.shown, lock: record },
    next: `wait for it with --lock-timeout 10m; if its holder is gone for good: cortex lock release ${record.id}`,
  });
}

const unreadable = (store: LockStore): CortexError =>
  new CortexError("lock_held", `the lock at ${store.shown} is one that this version of cortex cannot read`, {
    next: "use the version that took it, or remove the ref by hand when nobody applies",
  });
