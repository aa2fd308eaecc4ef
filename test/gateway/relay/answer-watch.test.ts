import { describe, expect, test } from "vitest";
import { AnswerWatch, type AnswerSeen, type WatchVerdict } from "../../../src/gateway/relay/answer-watch.ts";
import { keepAliveEvent } from "../../../src/gateway/relay/keep-alive-event.ts";

const LIMITS = { firstByteMs: 100, answerMs: 1000, silenceMs: 50, firstKeepAliveMs: 5, keepAliveMs: 20 };

const SEEN: AnswerSeen = {
  nowMs: 0,
  signs: 0,
  events: 0,
  isStreamed: true,
  isBegun: false,
  headSent: false,
  isPaused: false,
  isBetweenEvents: false,
  isNeuronHung: false,
};

/** What is said at each look; a look keeps what the one before it saw. */
function looks(changes: readonly Partial<AnswerSeen>[]): WatchVerdict[] {
  const watch = new AnswerWatch(LIMITS, 0);
  let seen = SEEN;
  return changes.map((change) => {
    seen = { ...seen, ...change };
    return watch.look(seen);
  });
}

describe("deadlines of an answer", () => {
  test("a streamed answer that does not begin", () => {
    expect(looks([{ nowMs: 99 }, { nowMs: 100 }])).toEqual(["wait", "silent"]);
  });

  test("each sign of life is a new beginning: a comment, a head", () => {
    expect(looks([{ nowMs: 99, signs: 1 }, { nowMs: 198 }, { nowMs: 199 }])).toEqual([
      "wait",
      "wait",
      "silent",
    ]);
  });

  test("an answer that is not streamed says nothing for long, and is waited for", () => {
    expect(looks([{ isStreamed: false, nowMs: 999 }, { nowMs: 1000 }])).toEqual(["wait", "silent"]);
  });

  test("within an answer", () => {
    expect(looks([{ isBegun: true, signs: 1, nowMs: 10 }, { nowMs: 59 }, { nowMs: 60 }])).toEqual([
      "wait",
      "wait",
      "silent",
    ]);
  });

  test("a neuron that is not listened to is not silent", () => {
    expect(
      looks([
        { isBegun: true, isPaused: true, nowMs: 500 },
        { isPaused: false, nowMs: 549 },
      ]),
    ).toEqual(["wait", "wait"]);
  });

  test("a neuron that hangs gives up what it has not begun, at once; the rest has its own deadline", () => {
    expect(looks([{ isNeuronHung: true, nowMs: 1 }])).toEqual(["hung"]);
    expect(looks([{ isNeuronHung: true, isBegun: true, nowMs: 1 }])).toEqual(["wait"]);
  });
});

describe("signs of life for the client", () => {
  test("the head soon, then one event each period, from the last event on", () => {
    expect(
      looks([
        { isBetweenEvents: true, nowMs: 4 },
        { nowMs: 5 },
        { headSent: true, nowMs: 24 },
        { nowMs: 25 },
        { nowMs: 30, events: 1, signs: 1, isBegun: true },
        { nowMs: 49 },
        { nowMs: 50 },
      ]),
    ).toEqual(["wait", "keep-alive", "wait", "keep-alive", "wait", "wait", "keep-alive"]);
  });

  test("comments of the neuron are none", () => {
    const changes = [5, 10, 15, 20, 25].map((nowMs, signs) => ({
      nowMs,
      signs,
      headSent: true,
      isBetweenEvents: true,
    }));
    expect(looks(changes)).toEqual(["wait", "wait", "wait", "keep-alive", "wait"]);
  });

  test.each([{ isStreamed: false }, { isPaused: true }, { isBetweenEvents: false }])(
    "never where %j",
    (change) => {
      expect(looks([{ isBetweenEvents: true, nowMs: 40, ...change }])).toEqual(["wait"]);
    },
  );

  test("events of the dialects", () => {
    expect(keepAliveEvent("/v1/chat/completions", "m", 7)).toBe(
      `data: {"id":"chatcmpl-keep-alive","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":null}]}\n\n`,
    );
    expect(keepAliveEvent("/v1/completions", "m", 7)).toContain(`"text":""`);
    expect(keepAliveEvent("/v1/embeddings", "m", 7)).toBeNull();
  });
});
