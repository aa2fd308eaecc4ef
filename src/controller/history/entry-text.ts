import { parseJson } from "../../core/json.ts";
import { maskSecrets } from "../../fleet/text/mask-secrets.ts";
import type { ApplyRecord } from "../../protocol/refs/apply-record.ts";
import { historyEntrySchema, type HistoryEntry } from "../../protocol/refs/history-entry.ts";

/* An apply as a commit of the history: a message that `git log` shows, and one file for programs. */

export const ENTRY_FILE = "apply.json";

/** What is pushed; nothing in it is a secret, whatever a neuron said in a failure. */
export function writeEntry(entry: HistoryEntry): {
  readonly message: string;
  readonly files: Readonly<Record<string, string>>;
} {
  const { operator, operation, summary, record } = entry;
  const at = record.revision.commit?.slice(0, 8) ?? "files outside of git";
  const dirty = record.revision.dirty ? ", with changes that were not committed" : "";
  const told = [
    `${operation} of ${at}${dirty}: ${outcomeText(record)}`,
    "",
    summary,
    ...(operator.run_url === null ? [] : [`Run: ${operator.run_url}`]),
  ];
  const masked = JSON.stringify(entry, (_key, value: unknown) =>
    typeof value === "string" ? maskSecrets(value) : value,
  );
  return {
    message: maskSecrets(told.join("\n")),
    files: { [ENTRY_FILE]: `${JSON.stringify(JSON.parse(masked), undefined, 1)}\n` },
  };
}

/** Undefined for what another version wrote, and for a lock that was released by hand. */
export function readEntry(text: string | undefined): HistoryEntry | undefined {
  const parsed = historyEntrySchema.safeParse(parseJson(text ?? ""));
  return parsed.success ? parsed.data : undefined;
}

/** How an apply ended, in a word or two. */
export function outcomeText({ steps, interrupted, timed_out, superseded }: ApplyRecord): string {
  const count = (outcome: string): number => steps.filter((step) => step.outcome === outcome).length;
  const [failed, waiting] = [count("failed"), count("not_started") + count("still_running")];
  const figures = `${count("applied")} applied, ${failed} failed, ${waiting} not started`;
  if (superseded) return `${figures}; lost the lock`;
  if (interrupted) return `${figures}; stopped`;
  return timed_out ? `${figures}; out of time` : figures;
}
