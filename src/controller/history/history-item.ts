import type { HistoryEntry } from "../../protocol/refs/history-entry.ts";

/** A commit of the history. */
export interface HistoryItem {
  readonly commit: string;
  /** The first line of its message. */
  readonly subject: string;
  /** Null where it is no apply, or one that another version of cortex wrote. */
  readonly entry: HistoryEntry | null;
}
