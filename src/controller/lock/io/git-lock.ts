import { nameLockRef, nameHistoryRef } from "../lock-refs.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import type { SharedRefs } from "../../../repository/io/shared-refs.ts";
import type { LockStore, SeenLock } from "../lock-store.ts";
import { epochOf, lockMessage, operatorName, parseLockMessage, withEpoch } from "../lock-text.ts";

/** Another program appends to the history at the same moment only where it takes the lock away. */
const DROP_ATTEMPTS = 3;

/**
 * The lock of a fleet as a ref of its repository's remote: it is created by a push that must not find it, and moved only from
 * the commit that was read. The last epoch stands in the history beside it; one push moves both.
 */
export function createGitLock(
  refs: SharedRefs,
  { fleet, operator }: { readonly fleet: string; readonly operator: Operator },
): LockStore {
  const lock = nameLockRef(fleet);
  const history = nameHistoryRef(fleet);
  const author = { name: operator.user, email: operatorName(operator) };
  return {
    shown: refs.shown,
    read: async (): Promise<SeenLock> => {
      const named = await refs.read([lock, history]);
      const held = named.get(lock);
      return {
        token: held?.commit,
        record: parseLockMessage(held?.message ?? ""),
        lastEpoch: epochOf(named.get(history)?.message ?? ""),
      };
    },
    swap: async (expected, next) => {
      const commit = await refs.commit({ message: lockMessage(next), parent: undefined, files: {}, author });
      return (await refs.swap([{ ref: lock, expected, next: commit }])) ? commit : undefined;
    },
    drop: async (expected, { message, files, epoch }) => {
      for (let attempt = 1; attempt <= DROP_ATTEMPTS; attempt += 1) {
        const named = await refs.read([lock, history]);
        if (named.get(lock)?.commit !== expected) return false;
        const tip = named.get(history);
        const text = withEpoch(message, Math.max(epoch, epochOf(tip?.message ?? "")));
        const entry = await refs.commit({ message: text, parent: tip?.commit, files, author });
        const changes = [
          { ref: history, expected: tip?.commit, next: entry },
          { ref: lock, expected, next: undefined },
        ];
        if (await refs.swap(changes)) return true;
      }
      return false;
    },
  };
}
