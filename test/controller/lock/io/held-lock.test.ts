import { expect, test } from "vitest";
import { HeldLock } from "../../../../src/controller/lock/io/held-lock.ts";
import type { LockStore } from "../../../../src/controller/lock/lock-store.ts";
import type { LockRecord } from "../../../../src/protocol/refs/lock-record.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const RECORD: LockRecord = {
  version: 1,
  id: "0123abcd",
  fleet: "home",
  operation: "apply",
  holder: { user: "ada", host: "desk", pid: 1, run_url: null },
  revision: null,
  epoch: 4,
  ttl_ms: 60_000,
  acquired_at: "2026-01-01T00:00:00.000Z",
  renewed_at: "2026-01-01T00:00:00.000Z",
  renewals: 0,
};
const ENTRY = { message: "applied", files: {} };

/** A place whose answer to each swap is lost on the way, though the lock moves. */
function placeThatLosesAnswers() {
  const place = { token: "first" as string | undefined, record: RECORD, entries: [] as string[] };
  const store: LockStore = {
    shown: "a place",
    read: () => Promise.resolve({ token: place.token, record: place.record, lastEpoch: 3 }),
    swap: (_expected, next) => {
      Object.assign(place, { token: "moved", record: next });
      return Promise.reject(new Error("the answer is lost"));
    },
    drop: (expected, { message }) => {
      if (expected !== place.token) return Promise.resolve(false);
      place.token = undefined;
      place.entries.push(message);
      return Promise.resolve(true);
    },
  };
  const lock = new HeldLock({ store, clock: new ManualClock(), token: "first", record: RECORD, takenMs: 0 });
  return { place, lock };
}

test("a lock whose last renewal came without an answer is given back, with its entry", async () => {
  const { place, lock } = placeThatLosesAnswers();
  await expect(lock.raiseEpoch(5)).rejects.toThrow("the answer is lost");
  expect(await lock.release(ENTRY)).toBe(true);
  expect(place).toMatchObject({ token: undefined, entries: ["applied"] });
});

test("one that is somebody else's by then is left alone", async () => {
  const { place, lock } = placeThatLosesAnswers();
  Object.assign(place, { token: "theirs", record: { ...RECORD, id: "89abcdef" } });
  expect(await lock.release(ENTRY)).toBe(false);
  expect(place).toMatchObject({ token: "theirs", entries: [] });
});
