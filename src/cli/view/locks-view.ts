import { formatDuration } from "../../core/quantities.ts";
import type { LockRecord } from "../../protocol/refs/lock-record.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

interface LockList {
  readonly place: string;
  readonly locks: readonly { readonly fleet: string; readonly record: LockRecord | null }[];
}

export function locksView(list: LockList, nowMs: number): View<LockList> {
  return {
    json: list,
    human: () =>
      list.locks.length === 0
        ? `Nobody holds a lock at ${list.place}: cortex apply may begin.`
        : tableText(
            ["FLEET", "ID", "HOLDER", "FOR", "EPOCH", "SINCE", "LAST SEEN"],
            list.locks.map(({ fleet, record }) => lockRow(fleet, record, nowMs)),
          ),
  };
}

function lockRow(fleet: string, record: LockRecord | null, nowMs: number): string[] {
  if (record === null) return [fleet, "?", "written by another version of cortex", "?", "?", "?", "?"];
  const { id, holder, operation, epoch, acquired_at, renewed_at, ttl_ms } = record;
  const where = holder.run_url ?? `process ${holder.pid}`;
  const silentMs = Math.max(0, nowMs - Date.parse(renewed_at));
  const over = silentMs > ttl_ms ? " (over: the next apply breaks it)" : "";
  return [
    fleet,
    id,
    `${holder.user}@${holder.host} (${where})`,
    operation,
    String(epoch),
    acquired_at,
    `${formatDuration(Math.round(silentMs / 1000) * 1000)} ago${over}`,
  ];
}
