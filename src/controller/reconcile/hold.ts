import { windowAt, type SyncWindow } from "../../fleet/schema/sync-window.ts";
import { parseJson } from "../../core/json.ts";
import { suspensionSchema, type Suspension } from "../../protocol/refs/suspension-record.ts";

/* Why a loop looks and changes nothing although it could: somebody has suspended it, or it is not the time for changes. */

export interface Hold {
  readonly reason: "Suspended" | "OutsideWindow";
  readonly message: string;
  /** When it ends by itself; null where somebody has to end it. */
  readonly untilMs: number | null;
}

export const suspensionMessage = (suspension: Suspension): string =>
  `reconciling of ${suspension.fleet} ${suspensionText(suspension)}\n\n${JSON.stringify(suspension, undefined, 2)}\n`;

/** "suspended by ann@laptop until 2026-11-26T22:00:00Z: new cards". */
export function suspensionText({ by, until, reason }: Suspension): string {
  const end = until === null ? "until somebody resumes" : `until ${until}`;
  return `suspended by ${by.user}@${by.host} ${end}: ${reason}`;
}

/**
 * What the ref says. A message that this version cannot read suspends all the same: whoever wrote it wanted no changes.
 */
export function readSuspension(message: string | undefined, nowMs: number): Hold | undefined {
  if (message === undefined) return undefined;
  const from = message.indexOf("\n{");
  const parsed = suspensionSchema.safeParse(parseJson(from === -1 ? "" : message.slice(from)));
  if (!parsed.success)
    return {
      reason: "Suspended",
      message: "suspended, by a version of cortex that this one cannot read",
      untilMs: null,
    };
  const { until } = parsed.data;
  const untilMs = until === null ? null : Date.parse(until);
  if (untilMs !== null && untilMs <= nowMs) return undefined;
  return { reason: "Suspended", message: suspensionText(parsed.data), untilMs };
}

/** Undefined when changes may be made now: in no window that denies, and in one that allows where there are any. */
export function windowHold(windows: readonly SyncWindow[], nowMs: number): Hold | undefined {
  const states = windows.map((window) => ({ ...window, ...windowAt(window, nowMs) }));
  const denying = states.filter(({ kind, isOpen }) => kind === "deny" && isOpen);
  const allowing = states.filter(({ kind }) => kind === "allow");
  const isAllowed = allowing.length === 0 || allowing.some(({ isOpen }) => isOpen);
  const [first] = denying;
  if (first === undefined && isAllowed) return undefined;
  const message =
    first === undefined
      ? `no window of [[gitops.windows]] allows changes now`
      : `the window "${first.schedule}" (${first.timezone}) of [[gitops.windows]] denies changes now`;
  // Looked at again at the next change of any window: then all of them are judged anew.
  const changes = states.flatMap(({ changesAtMs }) => changesAtMs ?? []);
  const untilMs = changes.length === 0 ? null : Math.min(...changes);
  const end = untilMs === null ? "" : `, until ${new Date(untilMs).toISOString()} at least`;
  return { reason: "OutsideWindow", message: `${message}${end}`, untilMs };
}
