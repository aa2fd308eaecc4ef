import { describe, expect, test } from "vitest";
import { supervisionOf } from "../../src/platform/environment.ts";
import { createServiceManager } from "../../src/platform/service-manager.ts";
import { ManualClock } from "../support/manual-clock.ts";

function managed(wish: Parameters<typeof createServiceManager>[0]) {
  const clock = new ManualClock();
  const sent: string[] = [];
  const manager = createServiceManager(wish, { clock, send: (assignment) => sent.push(assignment) });
  return { clock, sent, manager };
}

describe("what systemd hears", () => {
  test("readiness once, then signs of life at half the time that is allowed, and the end", async () => {
    const { clock, sent, manager } = managed({ watchdogMs: 30_000 });
    await clock.advance(60_000);
    expect(sent).toEqual([]);
    manager.ready();
    await clock.advance(14_999);
    expect(sent).toEqual(["READY=1"]);
    await clock.advance(1);
    await clock.advance(15_000);
    expect(sent).toEqual(["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    manager.stopping();
    await clock.advance(60_000);
    expect(sent.slice(3)).toEqual(["STOPPING=1"]);
  });

  test("nothing of a watchdog where there is none, nothing at all where nobody listens", async () => {
    const without = managed({ watchdogMs: undefined });
    without.manager.ready();
    await without.clock.advance(600_000);
    expect(without.sent).toEqual(["READY=1"]);
    const alone = managed(undefined);
    alone.manager.ready();
    alone.manager.stopping();
    expect(alone.sent).toEqual([]);
  });
});

describe("who is meant", () => {
  const variables = { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "30000000" };
  test.each([
    [{}, undefined],
    [{ NOTIFY_SOCKET: "" }, undefined],
    [{ NOTIFY_SOCKET: "/run/systemd/notify" }, { watchdogMs: undefined }],
    [variables, { watchdogMs: 30_000 }],
    [{ ...variables, WATCHDOG_PID: "7" }, { watchdogMs: 30_000 }],
    [{ ...variables, WATCHDOG_PID: "8" }, { watchdogMs: undefined }],
  ])("%j", (told, wish) => {
    expect(supervisionOf(told, 7)).toEqual(wish);
  });
});
