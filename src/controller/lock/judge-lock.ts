import type { LockRecord } from "../../protocol/refs/lock-record.ts";
import type { SeenLock } from "./lock-store.ts";

/**
 * Whether a lock may be taken. Clocks of machines differ, so what the holder wrote about time is believed only where it was
 * watched: a lock may be broken when it did not move for its whole time to live, by the clock of whoever watches; half of it
 * is enough where it also says that it is over. A holder renews it four times in that while.
 */
export interface LockWatch {
  readonly token: string | undefined;
  /** Monotonic: since when the lock was seen as it is. */
  readonly sinceMs: number;
  /** It moved while it was watched: its holder lives, whatever the clock there says. */
  readonly hasMoved: boolean;
}

export interface LockTime {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

export type LockVerdict =
  | { readonly kind: "free" }
  /** Its holder is gone. */
  | { readonly kind: "abandoned"; readonly record: LockRecord }
  /** Its holder seems to be gone; it is known when the lock has not moved for as long as this. */
  | { readonly kind: "doubtful"; readonly record: LockRecord; readonly forMs: number }
  | { readonly kind: "held"; readonly record: LockRecord; readonly forMs: number }
  /** Something is there that this version cannot read: nobody may break it but a person. */
  | { readonly kind: "unreadable" };

/** The watch goes on as long as the lock is the same. */
export function watchLock(
  watch: LockWatch | undefined,
  seen: SeenLock,
  { monotonicMs }: LockTime,
): LockWatch {
  if (watch !== undefined && watch.token === seen.token) return watch;
  const hasMoved = watch?.token !== undefined && seen.token !== undefined;
  return { token: seen.token, sinceMs: monotonicMs, hasMoved };
}

export function judgeLock(seen: SeenLock, watch: LockWatch, time: LockTime): LockVerdict {
  if (seen.token === undefined) return { kind: "free" };
  const { record } = seen;
  if (record === undefined) return { kind: "unreadable" };
  const stillMs = time.monotonicMs - watch.sinceMs;
  const saysOver = !watch.hasMoved && time.nowMs >= Date.parse(record.renewed_at) + record.ttl_ms;
  const neededMs = saysOver ? record.ttl_ms / 2 : record.ttl_ms;
  if (stillMs >= neededMs) return { kind: "abandoned", record };
  return { kind: saysOver ? "doubtful" : "held", record, forMs: neededMs - stillMs };
}

/** Above every epoch that anybody used so far. */
export const nextEpoch = ({ record, lastEpoch }: SeenLock): number =>
  Math.max(record?.epoch ?? 0, lastEpoch) + 1;
