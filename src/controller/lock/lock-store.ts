import type { LockRecord } from "../../protocol/refs/lock-record.ts";

/** What a place that keeps locks says of the lock of one fleet. */
export interface SeenLock {
  /** What the next change is made on condition of; undefined when nobody holds the lock. */
  readonly token: string | undefined;
  /** Undefined when nobody holds it, or when what is there cannot be read. */
  readonly record: LockRecord | undefined;
  /** The highest epoch that a finished apply used up. */
  readonly lastEpoch: number;
}

/** What is written down when a lock is given back. */
export interface ClosingEntry {
  readonly message: string;
  /** Files of the entry, by name. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Where the lock of a fleet is kept: refs of its repository's remote, or its neurons. Laws, held by one suite for all of
 * them: of several that swap from the same token at most one succeeds; a token that was swapped away is never taken again;
 * the epoch of a lock that was dropped is remembered.
 */
export interface LockStore {
  /** The place, as people are shown it. */
  readonly shown: string;
  readonly read: () => Promise<SeenLock>;
  /** The new token; undefined when the lock is not as expected. */
  readonly swap: (expected: string | undefined, next: LockRecord) => Promise<string | undefined>;
  /** Gives the lock back, and writes down what came of it: false when the lock is somebody else's by now. */
  readonly drop: (expected: string, entry: ClosingEntry & { readonly epoch: number }) => Promise<boolean>;
}
