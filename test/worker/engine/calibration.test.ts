import { describe, expect, test } from "vitest";
import {
  kindOfAnswers,
  openChoice,
  PROMPTS,
  recordChoice,
  threadsAtLoad,
  threadsSince,
} from "../../../src/worker/engine/calibration.ts";
import { chosenThreads, learnStep, startChoice } from "../../../src/worker/engine/thread-choice.ts";

const nothing = { key: "k", prompts: null, answers: [] };
const known = {
  key: "k",
  prompts: { threads: 2, cost_ms: 3 },
  answers: [
    { streams: 1, threads: 1, cost_ms: 20 },
    { streams: 4, threads: 2, cost_ms: 60 },
  ],
};

function chosen(costMs: (threads: number) => number) {
  let choice = startChoice([1, 2]);
  while (!choice.decided) {
    const ms = costMs(chosenThreads(choice));
    choice = learnStep(choice, { costMs: ms, stepMs: ms, quiet: true });
  }
  return choice;
}

describe("a calibration", () => {
  test.each([
    ["prompts", PROMPTS, 2, true],
    ["one answer", kindOfAnswers(1), 1, true],
    ["five answers, as four", kindOfAnswers(5), 2, true],
    ["two answers, of which nothing is known", kindOfAnswers(2), 1, false],
  ] as const)("is taken up for %s", (...[, kind, threads, decided]) => {
    const choice = openChoice(kind, [1, 2], known);
    expect(chosenThreads(choice)).toBe(threads);
    expect(choice.decided).toBe(decided);
  });

  test("takes each choice in, in place of the one before it", () => {
    const two = chosen((threads) => 60 / threads);
    const prompts = recordChoice(nothing, PROMPTS, two);
    const both = recordChoice(recordChoice(prompts, 2, two), 0, two);
    expect(both).toEqual({
      key: "k",
      prompts: { threads: 2, cost_ms: 30 },
      answers: [
        { streams: 1, threads: 2, cost_ms: 30 },
        { streams: 4, threads: 2, cost_ms: 30 },
      ],
    });
    const one = chosen((threads) => 60 * threads);
    expect(recordChoice(both, 0, one).answers[0]).toEqual({ streams: 1, threads: 1, cost_ms: 60 });
  });

  test("learns from short steps what answers need, and nothing about prompts", () => {
    const tiny = chosen(() => 2);
    expect(recordChoice(nothing, 0, tiny).answers).toEqual([{ streams: 1, threads: 1, cost_ms: 2 }]);
    expect(recordChoice(nothing, PROMPTS, tiny)).toBe(nothing);
  });
});

describe("the threads in use", () => {
  test("are the declared ones, whatever is remembered", () => {
    const declared = { source: "declared", prompts: 3, answers: [{ streams: 1, threads: 3 }] };
    expect(threadsAtLoad(3, [3], known)).toEqual(declared);
  });

  test("are the remembered ones, then those that were measured", () => {
    const answers = [
      { streams: 1, threads: 1 },
      { streams: 4, threads: 2 },
    ];
    expect(threadsAtLoad(undefined, [1, 2], known)).toEqual({ source: "remembered", prompts: 2, answers });
    expect(threadsSince(known)).toEqual({ source: "measured", prompts: 2, answers });
  });

  test("are not known before anything was tried, but where there is no choice", () => {
    expect(threadsAtLoad(undefined, [1, 2], undefined)).toEqual({
      source: "measured",
      prompts: null,
      answers: [],
    });
    expect(threadsAtLoad(undefined, [1], undefined)).toMatchObject({ source: "measured", prompts: 1 });
  });
});
