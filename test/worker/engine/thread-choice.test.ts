import { describe, expect, test } from "vitest";
import {
  chosenThreads,
  learnStep,
  resumeChoice,
  keptThreads,
  startChoice,
  type ThreadChoice,
} from "../../../src/worker/engine/thread-choice.ts";

const step = (ms: number, quiet = true) => ({ costMs: ms, stepMs: ms, quiet });

/** Computes steps with whatever threads are chosen; `cost` says what one takes. */
function compute(
  from: ThreadChoice,
  { steps, quiet: isQuiet = true }: { readonly steps: number; readonly quiet?: boolean },
  cost: (threads: number) => number,
) {
  let choice = from;
  const used: number[] = [];
  for (let at = 0; at < steps; at++) {
    const threads = chosenThreads(choice);
    used.push(threads);
    choice = learnStep(choice, step(cost(threads), isQuiet));
  }
  return { choice, used };
}

const quiet = (threads: number): number => 60 / threads;

describe("the choice of threads", () => {
  test("tries each number for a few steps and keeps the quickest", () => {
    const { used } = compute(startChoice([1, 2]), { steps: 10 }, quiet);
    expect(used).toEqual([1, 1, 1, 2, 2, 2, 2, 2, 2, 2]);
  });

  test("takes fewer threads where more gain next to nothing", () => {
    const { used } = compute(startChoice([4, 8]), { steps: 10 }, (threads) => (threads === 8 ? 19 : 20));
    expect(used.at(-1)).toBe(4);
  });

  test("a number that is far worse is tried for one step only", () => {
    const { used } = compute(startChoice([1, 2]), { steps: 10 }, (threads) => (threads === 2 ? 900 : 30));
    expect(used.filter((threads) => threads === 2)).toHaveLength(1);
  });

  test("nothing is tried on a busy machine, and later it is", () => {
    const { choice, used } = compute(startChoice([1, 2]), { steps: 200, quiet: false }, quiet);
    expect(new Set(used)).toEqual(new Set([1]));
    expect(compute(choice, { steps: 300 }, quiet).used.at(-1)).toBe(2);
  });

  test("steps of a tiny model keep one thread", () => {
    expect(compute(startChoice([1, 2]), { steps: 20 }, (threads) => 2 / threads).used.at(-1)).toBe(1);
  });

  test("one slow step changes nothing; a machine that became another one does", () => {
    const { choice } = compute(startChoice([1, 2]), { steps: 10 }, quiet);
    const burst = learnStep(choice, step(900));
    expect(chosenThreads(burst)).toBe(2);
    expect(compute(burst, { steps: 5 }, quiet).used).toEqual([2, 2, 2, 2, 2]);
    const { used } = compute(choice, { steps: 12 }, (threads) => (threads === 2 ? 900 : 60));
    expect(used.slice(0, 2)).toEqual([2, 2]);
    expect(used.slice(6)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("is tried again now and then, ever more seldom", () => {
    const { used } = compute(startChoice([1, 2]), { steps: 4000 }, (threads) => (threads === 2 ? 900 : 30));
    const trials = used.flatMap((threads, at) => (threads === 2 ? [at] : []));
    expect(trials).toHaveLength(5);
    expect((trials[4] ?? 0) - (trials[3] ?? 0)).toBeGreaterThan(2000);
  });

  test("of one is no choice", () => {
    expect(learnStep(startChoice([3]), step(10))).toEqual(startChoice([3]));
    expect(chosenThreads(startChoice([3]))).toBe(3);
  });
});

describe("what is remembered of a choice", () => {
  test("is what was chosen, and what it cost", () => {
    const { choice } = compute(startChoice([1, 2]), { steps: 10 }, quiet);
    expect(keptThreads(choice)).toEqual({ threads: 2, costMs: 30 });
    const tiny = compute(startChoice([1, 2]), { steps: 10 }, () => 2).choice;
    expect(keptThreads(tiny)).toEqual({ threads: 1, costMs: 2 });
  });

  test("is nothing while it is tried, and nothing when the machine was busy", () => {
    expect(keptThreads(startChoice([1, 2]))).toBeUndefined();
    expect(keptThreads(compute(startChoice([1, 2]), { steps: 4 }, quiet).choice)).toBeUndefined();
    const busy = compute(startChoice([1, 2]), { steps: 10, quiet: false }, quiet);
    expect(keptThreads(busy.choice)).toBeUndefined();
    expect(keptThreads(startChoice([4]))).toBeUndefined();
  });

  test("is gone on with: no number is tried for thousands of steps, then they are", () => {
    const resumed = resumeChoice([1, 2], { threads: 2, costMs: 30 });
    const { choice, used } = compute(resumed, { steps: 4096 }, quiet);
    expect(new Set(used)).toEqual(new Set([2]));
    expect(compute(choice, { steps: 1 }, quiet).used).toEqual([1]);
  });

  test("is dropped when steps are far slower than it says: the machine is busy, or another", () => {
    const resumed = resumeChoice([1, 2], { threads: 2, costMs: 30 });
    const { used } = compute(resumed, { steps: 5, quiet: false }, (threads) => (threads === 2 ? 600 : 60));
    expect(used).toEqual([2, 2, 1, 1, 1]);
  });

  test("does not count where that number is no choice any more", () => {
    expect(resumeChoice([1, 4], { threads: 2, costMs: 30 })).toEqual(startChoice([1, 4]));
    expect(resumeChoice([2], { threads: 2, costMs: 30 })).toEqual(startChoice([2]));
  });
});
