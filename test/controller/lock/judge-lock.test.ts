import { describe, expect, test } from "vitest";
import { judgeLock, nextEpoch, watchLock } from "../../../src/controller/lock/judge-lock.ts";
import {
  epochOf,
  holderText,
  lockMessage,
  parseLockMessage,
  withEpoch,
} from "../../../src/controller/lock/lock-text.ts";
import { recordOf } from "./lock-contract.ts";

const NOW = Date.UTC(2026, 0, 1);
const seenAt = (renewedMs: number, token = "a") => ({
  token,
  record: recordOf({ ttl_ms: 60_000, renewed_at: new Date(renewedMs).toISOString() }),
  lastEpoch: 0,
});

describe("a lock that is watched", () => {
  test.each([
    { what: "just renewed, just seen", renewedMs: 0, watchedMs: 0, kind: "held" },
    {
      what: "watched for its whole time to live, and did not move",
      renewedMs: 0,
      watchedMs: 60_000,
      kind: "abandoned",
    },
    { what: "says that it is over, not watched yet", renewedMs: -61_000, watchedMs: 0, kind: "doubtful" },
    {
      what: "says that it is over, did not move for half",
      renewedMs: -61_000,
      watchedMs: 30_000,
      kind: "abandoned",
    },
    { what: "from a clock that is an hour ahead", renewedMs: 3_600_000, watchedMs: 59_999, kind: "held" },
  ])("$what: $kind", ({ renewedMs, watchedMs, kind }) => {
    const seen = seenAt(NOW + renewedMs);
    const watch = { token: "a", sinceMs: 0, hasMoved: false };
    expect(judgeLock(seen, watch, { nowMs: NOW, monotonicMs: watchedMs }).kind).toBe(kind);
  });

  test("that moved is alive, whatever its clock says; the watch begins anew", () => {
    const first = watchLock(undefined, seenAt(NOW - 3_600_000, "a"), { nowMs: NOW, monotonicMs: 0 });
    const moved = watchLock(first, seenAt(NOW - 3_600_000, "b"), { nowMs: NOW, monotonicMs: 40_000 });
    expect(moved).toEqual({ token: "b", sinceMs: 40_000, hasMoved: true });
    const time = { nowMs: NOW, monotonicMs: 80_000 };
    expect(judgeLock(seenAt(NOW - 3_600_000, "b"), moved, time)).toMatchObject({
      kind: "held",
      forMs: 20_000,
    });
  });

  test("that nobody can read is nobody's to break", () => {
    const seen = { token: "a", record: undefined, lastEpoch: 0 };
    const watch = { token: "a", sinceMs: 0, hasMoved: false };
    expect(judgeLock(seen, watch, { nowMs: NOW, monotonicMs: 1e9 })).toEqual({ kind: "unreadable" });
  });
});

test("the next epoch is above the lock's and the history's", () => {
  expect(nextEpoch({ token: undefined, record: undefined, lastEpoch: 0 })).toBe(1);
  expect(nextEpoch({ token: "a", record: recordOf({ epoch: 9 }), lastEpoch: 4 })).toBe(10);
  expect(nextEpoch({ token: "a", record: recordOf({ epoch: 2 }), lastEpoch: 4 })).toBe(5);
});

describe("the message of a lock's commit", () => {
  test("is read as it was written; another version's is not", () => {
    const record = recordOf({ epoch: 3 });
    expect(parseLockMessage(lockMessage(record))).toEqual(record);
    expect(parseLockMessage(lockMessage(record).replace('"version": 1', '"version": 2'))).toBeUndefined();
    expect(parseLockMessage("")).toBeUndefined();
  });

  test("an epoch is read from the message of the history alone where it stands at the end of it", () => {
    expect(epochOf(withEpoch("apply: 3 loaded", 12))).toBe(12);
    expect(epochOf("apply\n")).toBe(0);
  });

  test("a holder in CI is named by the page of its job", () => {
    const holder = { user: "ann", host: "runner", pid: 1, run_url: "https://git.example/runs/7" };
    expect(holderText(recordOf({ holder, renewed_at: new Date(NOW).toISOString() }), NOW + 5000)).toMatch(
      /^ann@runner \(https:\/\/git\.example\/runs\/7\) holds the lock 00c0ffee for apply since .*, last seen 5 s ago$/,
    );
  });
});
