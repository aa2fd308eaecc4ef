import type { LlamaContextSequence } from "node-llama-cpp";
import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { createSlotPool, type Slot } from "../../../src/worker/engine/io/llama-slots.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const slots = (count: number): Slot[] =>
  Array.from({ length: count }, (_, id) => ({
    id,
    // The pool hands sequences out and never touches them.
    sequence: {} as LlamaContextSequence,
    tokens: [],
    lastUsedMs: 0,
  }));
const poolOf = (count: number, maxQueued = 2) =>
  createSlotPool({ slots: slots(count), maxQueued, clock: new ManualClock() });
const never = new AbortController().signal;

describe("slots", () => {
  test("are granted in order of arrival", async () => {
    const pool = poolOf(1);
    const granted: string[] = [];
    const first = await pool.acquire([1], never);
    const waiting = ["b", "c"].map((name) =>
      pool.acquire([1], never).then((slot) => {
        granted.push(name);
        return slot;
      }),
    );
    expect(pool.occupancy).toEqual({ slots: 1, busy: 1, queued: 2, maxQueued: 2 });
    pool.release(first);
    pool.release(await (waiting[0] as Promise<Slot>));
    await waiting[1];
    expect(granted).toEqual(["b", "c"]);
  });

  test("of answers that have ended are free when their last step is over, and idle ones are told with them", async () => {
    const pool = poolOf(2);
    const [ended, failed] = [await pool.acquire([1], never), await pool.acquire([2], never)];
    const steps = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    pool.releaseAfter(ended, steps[0].promise);
    pool.releaseAfter(failed, steps[1].promise);
    expect(pool.occupancy.busy).toBe(2);
    const idle = pool.idle();
    steps[0].resolve();
    steps[1].reject(new Error("the engine failed"));
    expect(new Set((await idle).map(({ id }) => id))).toEqual(new Set([0, 1]));
    expect(pool.occupancy.busy).toBe(0);
    expect(await pool.idle()).toHaveLength(2);
  });

  test("a full queue is refused at once and says how full it is", async () => {
    const pool = poolOf(1, 0);
    await pool.acquire([1], never);
    expect(() => pool.acquire([1], never)).toThrow(CortexError);
    expect(pool.occupancy.queued).toBe(0);
  });

  test("who leaves the queue frees the place and gets no slot", async () => {
    const pool = poolOf(1, 1);
    const held = await pool.acquire([1], never);
    const leaver = new AbortController();
    const left = pool.acquire([1], leaver.signal);
    leaver.abort(new CortexError("interrupted", "gone"));
    await expect(left).rejects.toMatchObject({ code: "interrupted" });
    const next = pool.acquire([1], never);
    pool.release(held);
    expect((await next).id).toBe(0);
    expect(pool.occupancy).toMatchObject({ busy: 1, queued: 0 });
  });

  test("a signal that aborted before gets nothing", async () => {
    const pool = poolOf(1);
    await expect(pool.acquire([1], AbortSignal.abort(new Error("late")))).rejects.toThrow("late");
    expect(pool.occupancy.busy).toBe(0);
  });
});
