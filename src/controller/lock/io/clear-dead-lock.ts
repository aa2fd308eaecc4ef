import type { LockStore } from "../lock-store.ts";
import { operatorName } from "../lock-text.ts";
import { takeLock, type TakeLockOptions } from "./take-lock.ts";

/**
 * Takes away a lock whose holder is gone, for whoever has nothing to apply and so would leave it there for all to see. A
 * holder that may be alive is left alone. Resolves to what was removed.
 */
export async function clearDeadLock(store: LockStore, options: TakeLockOptions): Promise<string | undefined> {
  const { record } = await store.read();
  if (record === undefined) return undefined;
  const isOver = options.clock.nowMs() >= Date.parse(record.renewed_at) + record.ttl_ms;
  if (!isOver) return undefined;
  const lock = await takeLock(store, { ...options, waitMs: 0 });
  const whose = `${record.id} of ${operatorName(record.holder)}`;
  await lock.release({
    message: `lock ${whose} removed: its holder is gone, and there is nothing to apply`,
    files: {},
  });
  return whose;
}
