import { formatDuration } from "../../core/quantities.ts";
import type { HistoryEntry } from "../../protocol/refs/history-entry.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

interface ListedApply {
  readonly commit: string;
  readonly subject: string;
  readonly entry: HistoryEntry | null;
}

export function historyView(items: readonly ListedApply[], fleet: string): View<readonly ListedApply[]> {
  return {
    json: items,
    human: () =>
      items.length === 0
        ? `Nothing was applied to ${fleet} under its lock yet.`
        : tableText(["WHEN", "EPOCH", "WHO", "REVISION", "RESULT", "TOOK"], items.map(applyRow)),
  };
}

function applyRow({ entry, subject }: ListedApply): string[] {
  if (entry === null) return ["", "", "", "", subject, ""];
  const { record, operation, operator } = entry;
  const { steps } = record;
  const count = (outcome: string) => steps.filter((step) => step.outcome === outcome).length;
  const failed = count("failed");
  const left = steps.length - count("applied") - failed;
  const parts = [
    `${count("applied")} applied`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(left === 0 ? [] : [`${left} not started`]),
    ...(record.superseded ? ["lost the lock"] : record.interrupted ? ["stopped"] : []),
  ];
  const predicted =
    record.predicted_secs === null ? "" : ` (predicted ${formatDuration(record.predicted_secs * 1000)})`;
  return [
    new Date(record.ended_at_ms).toISOString().replace(/\.\d+Z$/, "Z"),
    record.epoch === null ? "" : String(record.epoch),
    `${operator.user}@${operator.host} ${operation}`,
    `${record.revision.commit?.slice(0, 8) ?? "no commit"}${record.revision.dirty ? "+dirty" : ""}`,
    parts.join(", "),
    `${formatDuration(record.actual_secs * 1000)}${predicted}`,
  ];
}
