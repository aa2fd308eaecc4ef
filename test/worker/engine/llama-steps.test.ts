import type { BatchItem, LlamaContext, PrioritizedBatchItem } from "node-llama-cpp";
import { describe, expect, test } from "vitest";
import { createSteps } from "../../../src/worker/engine/io/llama-steps.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const never = new AbortController().signal;

/** The binding as far as steps see it: it asks for a batch and computes it. */
function bench({ slots = 4, batchTokens = 512, threads = [1] } = {}) {
  const asked = { quiet: 0 };
  const steps = createSteps({
    slots,
    onGpu: false,
    threads,
    calibration: { key: "k", prompts: null, answers: [] },
    onCalibrated: () => undefined,
    quiet: () => {
      asked.quiet += 1;
      return true;
    },
    clock: new ManualClock(),
  });
  const native = {
    decodeBatch: () => Promise.resolve(),
    sampleToken: () => Promise.resolve(0),
    setThreads: () => undefined,
  };
  steps.attach({ batchSize: batchTokens, _ctx: native } as unknown as LlamaContext);
  const item = (slot: number, tokens = 1): BatchItem => ({
    tokens: Array.from({ length: tokens }, () => 1) as unknown as BatchItem["tokens"],
    logits: [],
    evaluationPriority: steps.priorityOf(slot),
  });
  const form = steps.batching.itemPrioritizationStrategy as (given: {
    items: readonly BatchItem[];
    size: number;
  }) => PrioritizedBatchItem[];
  const batch = (...items: readonly BatchItem[]) =>
    form({ items, size: batchTokens }).map(({ item: one, processAmount }) => [
      one.evaluationPriority,
      processAmount,
    ]);
  const compute = (): Promise<void> => native.decodeBatch();
  const piece = (slot: number, remainingTokens: number, signal = never) =>
    steps.takePiece({ slot, remainingTokens, signal });
  return { asked, steps, item, batch, compute, piece };
}

describe("a step", () => {
  test("has its slots in order, whatever order they came in", () => {
    const { batch, item } = bench();
    expect(batch(item(3), item(0), item(2, 30), item(1))).toEqual([
      [0, 1],
      [1, 1],
      [2, 30],
      [3, 1],
    ]);
  });

  test("asks whether the machine is busy only as long as threads are tried", async () => {
    const { asked, batch, item, compute } = bench({ threads: [1, 2] });
    const step = async (): Promise<void> => {
      batch(item(0));
      await compute();
    };
    for (let trial = 0; trial < 3; trial++) await step();
    expect(asked.quiet).toBe(3);
    for (let later = 0; later < 20; later++) await step();
    expect(asked.quiet).toBe(3);
  });

  test("waits for the answers that were in the one before it", async () => {
    const { batch, item, compute } = bench();
    batch(item(0), item(1));
    await compute();
    expect(batch(item(1))).toEqual([]);
    expect(batch(item(1), item(0))).toHaveLength(2);
  });

  test("does not wait for an answer that left, nor for one that does not come", async () => {
    const { steps, batch, item, compute } = bench();
    batch(item(0), item(1));
    await compute();
    steps.leave(0);
    expect(batch(item(1))).toEqual([[1, 1]]);
    await compute();
    batch(item(0), item(1));
    await compute();
    let asked = 0;
    while (batch(item(1)).length === 0) asked += 1;
    expect(asked).toBeLessThan(100);
  });
});

describe("pieces of prompts", () => {
  test("are granted at once while nothing is computed, as far as a step reaches", async () => {
    const { piece, batch, item, compute } = bench();
    expect(await piece(1, 180)).toBe(180);
    expect(await piece(0, 66)).toBe(66);
    const later = piece(2, 100);
    expect(batch(item(1, 180), item(0, 66))).toHaveLength(2);
    await compute();
    expect(await later).toBe(100);
  });

  test("wait for the end of a step, and are smaller while answers are written", async () => {
    const { piece, batch, item, compute } = bench();
    batch(item(0));
    const waiting = piece(1, 400);
    await compute();
    expect(await waiting).toBe(65);
    expect(batch(item(0))).toEqual([]);
    expect(batch(item(0), item(1, 65))).toHaveLength(2);
  });

  test("of one that leaves before it is computed go to the next", async () => {
    const { steps, piece } = bench();
    expect(await piece(0, 256)).toBe(256);
    const next = piece(1, 100);
    steps.leave(0);
    expect(await next).toBe(100);
  });

  test("of equal prompts are computed prompt by prompt, however many steps each takes", async () => {
    const { steps, piece, batch, item, compute } = bench();
    const handedIn = new Map<number, { readonly tokens: number; readonly done: () => void }>();
    const stepsOf: number[][] = [[], [], []];
    let step = 0;
    const prefill = async (slot: number): Promise<void> => {
      for (let left = 6000; left > 0;) {
        const tokens = await piece(slot, left);
        stepsOf[slot]?.push(step);
        await new Promise<void>((done) => handedIn.set(slot, { tokens, done }));
        left -= tokens;
      }
      steps.leave(slot);
    };
    const all = Promise.all(stepsOf.map((_, slot) => prefill(slot)));
    for (; step < 60; step += 1) {
      await new Promise(setImmediate);
      const items = [...handedIn];
      handedIn.clear();
      if (items.length === 0) break;
      batch(...items.map(([slot, { tokens }]) => item(slot, tokens)));
      await compute();
      for (const [, { done }] of items) done();
    }
    await all;
    const [first = [], second = [], third = []] = stepsOf;
    expect(first.length).toBeGreaterThan(10);
    expect(second[0]).toBeGreaterThanOrEqual(first.at(-1) ?? Infinity);
    expect(third[0]).toBeGreaterThanOrEqual(second.at(-1) ?? Infinity);
  });

  test("wait no longer for one that leaves in the middle", async () => {
    const { steps, piece, batch, item, compute } = bench();
    expect(await piece(0, 2048)).toBe(256);
    const next = piece(1, 100);
    batch(item(0, 256));
    await compute();
    steps.leave(0);
    expect(await next).toBe(100);
  });

  test("an aborted one waits no longer", async () => {
    const { piece, batch, item, compute } = bench();
    batch(item(0));
    const leaving = new AbortController();
    const waiting = piece(1, 400, leaving.signal);
    leaving.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    await expect(piece(1, 400, leaving.signal)).rejects.toThrow("gone");
    await compute();
    expect(batch(item(0))).toEqual([[0, 1]]);
  });
});

describe("what an answer does meanwhile", () => {
  test("is done when the step of its next token has begun, and not before", async () => {
    const { steps, batch, item, compute } = bench();
    const done: string[] = [];
    const told = steps.meanwhile(1, () => {
      done.push("told");
      return "heard";
    });
    batch(item(0));
    await compute();
    expect(done).toEqual([]);
    batch(item(0), item(1));
    const computed = compute();
    expect(done).toEqual(["told"]);
    expect(await told).toBe("heard");
    await computed;
  });

  test("is done at once where its step does not come, and only once", async () => {
    const { steps, batch, item, compute } = bench();
    let times = 0;
    const told = steps.meanwhile(0, () => {
      times += 1;
    });
    steps.catchUp(0);
    steps.catchUp(1);
    await told;
    batch(item(0));
    await compute();
    expect(times).toBe(1);
  });

  test("fails by itself: the step and the others go on", async () => {
    const { steps, batch, item, compute } = bench();
    const failing = steps.meanwhile(0, () => {
      throw new Error("gone");
    });
    const told = steps.meanwhile(1, () => "heard");
    failing.catch(() => undefined);
    batch(item(0), item(1));
    await compute();
    await expect(failing).rejects.toThrow("gone");
    expect(await told).toBe("heard");
  });
});

test("work between steps holds answers and prompts back until it is done", async () => {
  const { steps, piece, batch, item, compute } = bench();
  batch(item(0));
  const work = Promise.withResolvers<string>();
  const result = steps.betweenSteps(() => work.promise);
  await compute();
  const held = steps.holdBack(0);
  expect(held).toBeInstanceOf(Promise);
  const waiting = piece(1, 10);
  work.resolve("erased");
  expect(await result).toBe("erased");
  await held;
  expect(await waiting).toBe(10);
  expect(steps.holdBack(0)).toBeUndefined();
});
