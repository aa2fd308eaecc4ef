import { compareText } from "../../core/order.ts";

/** Something in the store that could be removed. */
export interface Collectable {
  readonly name: string;
  /** `orphan`: whole, and no source that is kept refers to it. */
  readonly kind: "model" | "partial" | "orphan";
  readonly bytes: number;
  /** Last load or, where there was none, the end of the download; for a partial file its last write. */
  readonly lastUsedMs: number;
  /** A load or a download has it now. */
  readonly inUse: boolean;
}

export interface CollectionWish {
  readonly nowMs: number;
  /** Removed when not used for that long; null removes no model for its age. */
  readonly maxAgeMs: number | null;
  /** Removed until so much is freed; null frees no particular amount. */
  readonly freeBytes: number | null;
}

/** A partial file, or a part of a set without the others, that nobody went on with for a week is not wanted any more. */
const PARTIAL_MAX_AGE_MS = 7 * 24 * 60 * 60 * 1000;
const RANK = { orphan: 0, partial: 1, model: 2 } as const;

/**
 * What to remove, in order: files that nothing refers to, then partial ones, then models, each by when they were
 * last used, oldest first. What is in use stays, whatever is wished.
 */
export function collectionOrder<Item extends Collectable>(
  items: readonly Item[],
  { nowMs, maxAgeMs, freeBytes }: CollectionWish,
): readonly Item[] {
  const ordered = items
    .filter(({ inUse }) => !inUse)
    .toSorted(
      (left, right) =>
        RANK[left.kind] - RANK[right.kind] ||
        left.lastUsedMs - right.lastUsedMs ||
        compareText(left.name, right.name),
    );
  let freed = 0;
  return ordered.filter((item) => {
    const ageMs = nowMs - item.lastUsedMs;
    const limitMs = item.kind === "model" ? maxAgeMs : PARTIAL_MAX_AGE_MS;
    const isOld = limitMs !== null && ageMs > limitMs;
    if (!isOld && (freeBytes === null || freed >= freeBytes)) return false;
    freed += item.bytes;
    return true;
  });
}
