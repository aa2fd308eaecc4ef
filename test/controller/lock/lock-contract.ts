import { expect, test } from "vitest";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { takeLock, type TakeLockOptions } from "../../../src/controller/lock/io/take-lock.ts";
import type { HeldLock } from "../../../src/controller/lock/io/held-lock.ts";
import type { LockStore } from "../../../src/controller/lock/lock-store.ts";
import { CortexError } from "../../../src/core/errors.ts";
import type { LockRecord } from "../../../src/protocol/refs/lock-record.ts";

/** A place for locks, and several programs that reach it independently. */
export interface LockPlace extends AsyncDisposable {
  /** A store as another process opens it; each call is another process. */
  open(user: string): Promise<LockStore>;
}

export const operatorOf = (user: string) => ({ user, host: "machine", pid: 4711, run_url: null });

export function recordOf(overrides: Partial<LockRecord> = {}): LockRecord {
  const now = new Date().toISOString();
  return {
    version: 1,
    id: "00c0ffee",
    fleet: "test",
    operation: "apply",
    holder: operatorOf("ann"),
    revision: null,
    epoch: 1,
    ttl_ms: 60_000,
    acquired_at: now,
    renewed_at: now,
    renewals: 0,
    ...overrides,
  };
}

export const closing = (text: string) => ({ message: text, files: { "apply.json": `{"text":"${text}"}` } });

export const take = (store: LockStore, user: string, options: Partial<TakeLockOptions> = {}) =>
  takeLock(store, {
    fleet: "test",
    operation: "apply",
    revision: null,
    operator: operatorOf(user),
    clock: systemClock,
    ...options,
  });

export const failureOf = async (promise: Promise<unknown>): Promise<CortexError> => {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof CortexError)) throw new Error(`no CortexError: ${String(thrown)}`);
  return thrown;
};

/** The laws of every place that keeps locks. */
export function locksAsPromised(start: () => Promise<LockPlace>): void {
  test("one holder at a time; whoever comes second is told who holds it and since when", async () => {
    await using place = await start();
    const held = await take(await place.open("ann"), "ann");
    const refused = await failureOf(take(await place.open("bob"), "bob"));
    expect(refused.code).toBe("lock_held");
    expect(refused.message).toContain(
      `ann@machine (process 4711) holds the lock ${held.record.id} for apply`,
    );
    expect(refused.message).toContain(`since ${held.record.acquired_at}`);
    expect(await held.release(closing("done"))).toBe(true);
    const next = await take(await place.open("bob"), "bob");
    expect([held.epoch, next.epoch]).toEqual([1, 2]);
    await next.release(closing("done too"));
    expect(await (await place.open("cid")).read()).toMatchObject({ token: undefined, lastEpoch: 2 });
  });

  test.each([2, 5])(
    "%i that want it at once: one has it, and all get it one after another",
    async (count) => {
      await using place = await start();
      let inside = 0;
      const crowds: number[] = [];
      const apply = async (user: string): Promise<number> => {
        const lock = await take(await place.open(user), user, { waitMs: 60_000, ttlMs: 4000 });
        inside += 1;
        crowds.push(inside);
        await systemClock.sleep(20);
        inside -= 1;
        expect(await lock.release(closing(user))).toBe(true);
        return lock.epoch;
      };
      const users = Array.from({ length: count }, (_, index) => `user${index}`);
      const epochs = await Promise.all(users.map(apply));
      expect(crowds).toEqual(users.map(() => 1));
      expect(epochs.toSorted((left, right) => left - right)).toEqual(users.map((_, index) => index + 1));
    },
    90_000,
  );

  test("of several swaps from one token one succeeds, and a token that was swapped away is never taken again", async () => {
    await using place = await start();
    const stores = await Promise.all(["a", "b", "c"].map((user) => place.open(user)));
    const race = (expected: string | undefined, epoch: number) =>
      Promise.all(
        stores.map((store, index) =>
          store.swap(expected, recordOf({ epoch, id: `0000000${index}`, holder: operatorOf(`u${index}`) })),
        ),
      );
    const first = (await race(undefined, 1)).filter((token) => token !== undefined);
    expect(first).toHaveLength(1);
    const second = (await race(first[0], 2)).filter((token) => token !== undefined);
    expect(second).toHaveLength(1);
    expect(await race(first[0], 3)).toEqual([undefined, undefined, undefined]);
    const [store] = stores;
    expect(await store?.drop(first[0] ?? "", { ...closing("late"), epoch: 3 })).toBe(false);
    expect((await store?.read())?.record?.epoch).toBe(2);
  });

  test("a holder that is gone: its lock is broken after a look, and its epoch is not used again", async () => {
    await using place = await start();
    const past = new Date(Date.now() - 120_000).toISOString();
    const gone = recordOf({ epoch: 7, ttl_ms: 800, acquired_at: past, renewed_at: past });
    expect(await (await place.open("ann")).swap(undefined, gone)).toBeDefined();
    const told: string[] = [];
    const lock = await take(await place.open("bob"), "bob", { onWait: (text) => told.push(text) });
    expect(lock.epoch).toBe(8);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/ann@machine .*last seen 12\d s ago: longer than it may\. Watching it for 1 s/);
    await lock.release(closing("done"));
  });

  test("a holder that only has a slow clock is not broken: its lock moves while it is watched", async () => {
    await using place = await start();
    const past = new Date(Date.now() - 3_600_000).toISOString();
    const slow = { ...systemClock, nowMs: () => Date.parse(past) };
    const held = await take(await place.open("ann"), "ann", { ttlMs: 8000, clock: slow });
    const refused = await failureOf(take(await place.open("bob"), "bob", { waitMs: 100 }));
    expect(refused.code).toBe("lock_held");
    expect(held.record.renewals).toBeGreaterThan(0);
    expect(held.lost.aborted).toBe(false);
    await held.release(closing("done"));
  }, 30_000);

  test("a holder whose lock was broken learns it at its next renewal, and writes nothing down", async () => {
    await using place = await start();
    const held = await take(await place.open("ann"), "ann", { ttlMs: 8000 });
    const other = await place.open("bob");
    const winner = await takeAway(other, held);
    await lossOf(held);
    expect(held.lost.reason).toMatchObject({
      code: "lock_lost",
      message: expect.stringContaining("somebody else") as string,
    });
    expect(await held.release(closing("zombie"))).toBe(false);
    expect((await other.read()).record?.id).toBe(winner);
  }, 30_000);

  test("the epoch of a lock that a person released by hand stays used up", async () => {
    await using place = await start();
    const store = await place.open("ann");
    const token = await store.swap(undefined, recordOf({ epoch: 5 }));
    expect(await store.drop(token ?? "", { ...closing("by hand"), epoch: 5 })).toBe(true);
    const next = await take(await place.open("bob"), "bob");
    expect(next.epoch).toBe(6);
    await next.release(closing("done"));
  });
}

/** Takes the lock away whatever its holder does meanwhile; returns the id of the new one. */
async function takeAway(store: LockStore, held: HeldLock): Promise<string> {
  for (;;) {
    const { token } = await store.read();
    const next = recordOf({ epoch: held.epoch + 1, id: "0badcafe", holder: operatorOf("bob") });
    if ((await store.swap(token, next)) !== undefined) return next.id;
  }
}

export const lossOf = (held: HeldLock): Promise<void> =>
  new Promise((resolve) => {
    if (held.lost.aborted) resolve();
    else held.lost.addEventListener("abort", () => resolve());
  });
