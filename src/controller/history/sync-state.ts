import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import type { HistoryEntry } from "../../protocol/refs/history-entry.ts";
import type { HistoryItem } from "./history-item.ts";

/** Which revision is in force, as the history tells, and where the files are. */
export interface SyncState {
  /** Of the last apply that made the fleet as it was declared; null where the history has none. */
  readonly liveRevision: string | null;
  /** Of the last apply, where that one did not. */
  readonly attempted: { readonly revision: string | null; readonly result: string } | null;
  readonly head: { readonly revision: string | null; readonly isDirty: boolean };
}

/** `history`: the latest first. */
export function syncOf(files: FleetRevision, history: readonly HistoryItem[]): SyncState {
  const entries = history.flatMap(({ entry }) => entry ?? []);
  const [latest] = entries;
  const good = entries.find(({ record }) => record.as_declared);
  const attempted =
    latest === undefined || latest === good
      ? null
      : { revision: latest.record.revision.commit, result: resultOf(latest) };
  return {
    liveRevision: good?.record.revision.commit ?? null,
    attempted,
    head: { revision: files.commit, isDirty: files.dirty },
  };
}

function resultOf({ record }: HistoryEntry): string {
  const failed = record.steps.filter(({ outcome }) => outcome === "failed").length;
  if (failed > 0) return `${failed} failed`;
  if (record.superseded) return "lost the lock";
  if (record.timed_out) return "timed out";
  return record.interrupted ? "stopped" : "not all done";
}
