import { describe, expect, test } from "vitest";
import { windowHold } from "../../../src/controller/reconcile/hold.ts";
import { syncWindowSchema, windowAt } from "../../../src/fleet/schema/sync-window.ts";

const window = (schedule: string, hours: number, more: object = {}) =>
  syncWindowSchema.parse({ kind: "allow", schedule, duration_secs: hours * 3600, ...more });

const stateAt = (given: ReturnType<typeof window>, iso: string) => {
  const { isOpen, changesAtMs } = windowAt(given, Date.parse(iso));
  return [isOpen, changesAtMs === undefined ? "never" : new Date(changesAtMs).toISOString()];
};

describe("a window", () => {
  const nightly = window("0 22 * * 1-5", 8);

  test.each([
    ["before it opens", "2026-11-26T21:59:59Z", false, "2026-11-26T22:00:00.000Z"],
    ["as it opens", "2026-11-26T22:00:00Z", true, "2026-11-27T06:00:00.000Z"],
    ["over midnight", "2026-11-27T05:59:59Z", true, "2026-11-27T06:00:00.000Z"],
    ["as it closes", "2026-11-27T06:00:00Z", false, "2026-11-27T22:00:00.000Z"],
    ["on a day that it leaves out", "2026-11-28T23:00:00Z", false, "2026-11-30T22:00:00.000Z"],
  ] as const)("%s", (...[, iso, isOpen, changes]) => {
    expect(stateAt(nightly, iso)).toEqual([isOpen, changes]);
  });

  test("is by the clock of its zone, summer and winter", () => {
    const berlin = window("0 22 * * *", 1, { timezone: "Europe/Berlin" });
    expect(stateAt(berlin, "2026-07-01T20:30:00Z")).toEqual([true, "2026-07-01T21:00:00.000Z"]);
    expect(stateAt(berlin, "2026-12-01T20:30:00Z")).toEqual([false, "2026-12-01T21:00:00.000Z"]);
  });

  test.each([
    ["0 22 * *", "UTC"],
    ["0 0 22 * * *", "UTC"],
    ["0 25 * * *", "UTC"],
    ["0 0 31 2 *", "UTC"],
    ["nightly", "UTC"],
    ["0 22 * * *", "Europe/Bärlin"],
  ])("%s (%s) is none", (schedule, timezone) => {
    const given = { kind: "allow", schedule, duration_secs: 60, timezone };
    expect(syncWindowSchema.safeParse(given).success).toBe(false);
  });
});

describe("whether changes may be made", () => {
  const noon = Date.parse("2026-11-26T12:00:00Z");
  const night = window("0 22 * * *", 8);
  const lunch = window("30 11 * * *", 1);
  const never = window("0 0 * * *", 24, { kind: "deny" });

  test.each([
    ["without a window", [], undefined],
    ["within one that allows", [night, lunch], undefined],
    ["outside of all that allow", [night], "2026-11-26T22:00:00.000Z"],
    ["in one that denies", [lunch, never], "2026-11-26T12:30:00.000Z"],
    ["outside of one that denies", [window("0 0 * * *", 1, { kind: "deny" })], undefined],
  ] as const)("%s", (_what, windows, until) => {
    const hold = windowHold(windows, noon);
    expect(hold && new Date(hold.untilMs ?? 0).toISOString()).toBe(until);
  });
});
