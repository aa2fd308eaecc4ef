import { parseJson } from "../../core/json.ts";
import { lockRecordSchema, type LockRecord, type Operator } from "../../protocol/refs/lock-record.ts";

/* How a lock stands in the message of its commit: a line for people, the record as JSON. */

export const lockMessage = (record: LockRecord): string =>
  `${record.operation} of ${record.fleet} by ${operatorName(record.holder)} since ${record.acquired_at}\n\n` +
  `${JSON.stringify(record, undefined, 2)}\n`;

/** Undefined for a message of another version, or of somebody else. */
export function parseLockMessage(message: string): LockRecord | undefined {
  const from = message.indexOf("\n{");
  if (from === -1) return undefined;
  const parsed = lockRecordSchema.safeParse(parseJson(message.slice(from)));
  return parsed.success ? parsed.data : undefined;
}

export const operatorName = ({ user, host }: Operator): string => `${user}@${host}`;

const EPOCH = "Cortex-Epoch";

/** The message of a commit of the history, with the epoch that it used up. */
export const withEpoch = (message: string, epoch: number): string =>
  `${message.trimEnd()}\n\n${EPOCH}: ${epoch}\n`;

/** The highest epoch that the history has used up; 0 before the first. */
export function epochOf(message: string): number {
  const [, digits] = new RegExp(`^${EPOCH}: (\\d{1,15})$`, "m").exec(message) ?? [];
  return digits === undefined ? 0 : Number(digits);
}

/** Who holds a lock, since when, and for how long it was silent, in one sentence. */
export function holderText(record: LockRecord, nowMs: number): string {
  const { holder, operation, acquired_at, renewed_at, id } = record;
  const silentSecs = Math.max(0, Math.round((nowMs - Date.parse(renewed_at)) / 1000));
  const where = holder.run_url === null ? `process ${holder.pid}` : holder.run_url;
  return `${operatorName(holder)} (${where}) holds the lock ${id} for ${operation} since ${acquired_at}, last seen ${silentSecs} s ago`;
}
