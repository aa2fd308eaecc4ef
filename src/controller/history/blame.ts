import type { Operator } from "../../protocol/refs/lock-record.ts";
import type { HistoryItem } from "./history-item.ts";

/** Who put a model where it is, or took it away. */
export interface BlameRow {
  readonly neuron: string;
  /** Of the last change that was made there. */
  readonly kind: string;
  readonly at_ms: number;
  readonly operation: string;
  readonly operator: Operator;
  /** The commit of the fleet repository that was applied; null outside of git. */
  readonly revision: string | null;
  /** The entry of the history. */
  readonly entry: string;
  readonly epoch: number | null;
}

/** The last change of a model on each neuron, the latest first; `items` come the latest first. */
export function blameModel(items: readonly HistoryItem[], modelId: string): BlameRow[] {
  const rows = new Map<string, BlameRow>();
  for (const { commit, entry } of items) {
    for (const step of entry?.record.steps ?? []) {
      if (entry === null || step.model_id !== modelId || step.outcome !== "applied") continue;
      if (rows.has(step.neuron)) continue;
      rows.set(step.neuron, {
        neuron: step.neuron,
        kind: step.kind,
        at_ms: entry.record.ended_at_ms,
        operation: entry.operation,
        operator: entry.operator,
        revision: entry.record.revision.commit,
        entry: commit,
        epoch: entry.record.epoch,
      });
    }
  }
  return [...rows.values()];
}
