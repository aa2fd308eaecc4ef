import { Cron } from "croner";
import { z } from "zod";
import { positiveInteger } from "./number-schemas.ts";

const WEEK_SECS = 7 * 86_400;

export const syncWindowSchema = z
  .strictObject({
    kind: z
      .enum(["allow", "deny"])
      .describe("allow: changes are made in windows of this kind only; deny: never in this one, whatever another allows"),
    schedule: z
      .string()
      .refine(isCronPattern, "must be a cron pattern of five fields, such as 0 22 * * 1-5")
      .describe("when it opens: minute, hour, day of month, month, day of week")
      .meta({ examples: ["0 22 * * 1-5"] }),
    duration_secs: positiveInteger
      .max(WEEK_SECS, "must be at most a week")
      .describe("how long it stays open")
      .meta({ examples: [28_800] }),
    timezone: z
      .string()
      .refine(isTimeZone, "must be a time zone, such as Europe/Berlin")
      .default("UTC")
      .describe("whose clock `schedule` is by, summer time included"),
  })
  .describe("a time that comes again, in which the loop may or must not change the fleet");

export type SyncWindow = z.infer<typeof syncWindowSchema>;

function isCronPattern(pattern: string): boolean {
  try {
    return opening({ schedule: pattern, timezone: "UTC" }, new Date(0)) !== null;
  } catch {
    return false;
  }
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** The first opening after a moment; null for a day that no calendar has. */
const opening = ({ schedule, timezone }: Pick<SyncWindow, "schedule" | "timezone">, after: Date): Date | null =>
  new Cron(schedule, { timezone, mode: "5-part" }).nextRun(after);

export interface WindowState {
  readonly isOpen: boolean;
  /** When it closes, unless another opening of the same window goes on from there, or opens next; undefined: never again. */
  readonly changesAtMs: number | undefined;
}

export function windowAt(window: SyncWindow, nowMs: number): WindowState {
  const durationMs = window.duration_secs * 1000;
  const opened = opening(window, new Date(nowMs - durationMs))?.getTime();
  if (opened !== undefined && opened <= nowMs) return { isOpen: true, changesAtMs: opened + durationMs };
  return { isOpen: false, changesAtMs: opened };
}
