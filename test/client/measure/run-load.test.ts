import { expect, test } from "vitest";
import { runLoad, type LoadPlan } from "../../../src/client/measure/io/run-load.ts";
import type { MeasuredAnswer } from "../../../src/client/measure/measured-load.ts";
import { CortexError } from "../../../src/core/errors.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const ANSWER: MeasuredAnswer = {
  firstTokenMs: 1,
  totalMs: 2,
  gapsMs: [],
  promptTokens: 1,
  completionTokens: 1,
};

interface Watched {
  underWay: number;
  most: number;
  readonly begun: { readonly at: number; readonly dueMs: number; readonly nowMs: number }[];
}

/** Each answer takes `lastsMs`. */
function planOf(clock: ManualClock, lastsMs: number, changes: Partial<LoadPlan>): [LoadPlan, Watched] {
  const watched: Watched = { underWay: 0, most: 0, begun: [] };
  const ask = async (at: number, dueMs: number) => {
    watched.begun.push({ at, dueMs, nowMs: clock.monotonicMs() });
    watched.underWay += 1;
    watched.most = Math.max(watched.most, watched.underWay);
    await clock.sleep(lastsMs);
    watched.underWay -= 1;
    return ANSWER;
  };
  const mode = { kind: "closed", clients: 3 } as const;
  return [
    { mode, requests: 10, ask, clock, seed: 1, signal: new AbortController().signal, ...changes },
    watched,
  ];
}

const everyOtherFails = (at: number): Promise<MeasuredAnswer> =>
  at % 2 === 0 ? Promise.resolve(ANSWER) : Promise.reject(new CortexError("queue_full", "no place"));

async function ended<Value>(clock: ManualClock, work: Promise<Value>): Promise<Value> {
  const state = { isOver: false };
  void work.finally(() => {
    state.isOver = true;
  });
  while (!state.isOver) await clock.advance(10);
  return work;
}

test("a closed loop has so many under way and no more, and asks again at once", async () => {
  const clock = new ManualClock();
  const [plan, watched] = planOf(clock, 100, {});
  const { requests, wallMs } = await ended(clock, runLoad(plan));
  expect(requests).toHaveLength(10);
  expect(watched.most).toBe(3);
  // Ten answers of 100 ms by three clients.
  expect(wallMs).toBeGreaterThanOrEqual(400);
  expect(wallMs).toBeLessThan(500);
});

test("an open loop begins when requests are due, whether others are answered or not", async () => {
  const clock = new ManualClock();
  const [plan, watched] = planOf(clock, 60_000, { mode: { kind: "open", perSecond: 10 }, requests: 50 });
  await ended(clock, runLoad(plan));
  expect(watched.most).toBe(50);
  const span = (watched.begun.at(-1)?.dueMs ?? 0) - (watched.begun[0]?.dueMs ?? 0);
  expect(span / 49).toBeGreaterThan(60);
  expect(span / 49).toBeLessThan(160);
  expect(watched.begun.filter(({ dueMs, nowMs }) => nowMs < dueMs)).toEqual([]);
});

test("a request that fails is counted, and the others go on", async () => {
  const clock = new ManualClock();
  const [plan] = planOf(clock, 0, { ask: everyOtherFails });
  const { requests } = await runLoad(plan);
  expect(requests.filter(({ kind }) => kind === "failed")).toHaveLength(5);
  expect(requests.find(({ kind }) => kind === "failed")).toMatchObject({ code: "queue_full" });
});

test("a stop begins no more, and waits for what is under way", async () => {
  const clock = new ManualClock();
  const stop = new AbortController();
  const [plan, watched] = planOf(clock, 100, { signal: stop.signal });
  const running = runLoad(plan);
  await clock.advance(10);
  stop.abort();
  const { requests } = await ended(clock, running);
  expect(requests).toHaveLength(3);
  expect(watched.underWay).toBe(0);
});
