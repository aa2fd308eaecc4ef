import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import {
  explanationOfAll,
  latestOfAll,
  trafficOfAll,
  workerState,
} from "../../../src/gateway/crew/crew-answers.ts";
import { crewSize } from "../../../src/gateway/crew/crew-size.ts";
import { errorMessage, errorOf } from "../../../src/gateway/crew/error-message.ts";
import { missingAnswer } from "../../../src/gateway/crew/missing-answer.ts";
import { deathsInRow, restartDelayMs } from "../../../src/gateway/crew/restart-delay.ts";
import type { RequestSummary } from "../../../src/protocol/request-explanation.ts";

test.each([
  ["1", 4, 1],
  ["2", 1, 2],
  ["64", 2, 64],
  ["65", 2, null],
  ["0", 2, null],
  ["-1", 2, null],
  ["1.5", 2, null],
  ["many", 2, null],
  ["auto", 1, 1],
  ["auto", 4, 4],
  ["auto", 96, 8],
])("--workers %s on %i cores: %s", (text, cores, size) => {
  expect(crewSize(text, cores)).toBe(size);
});

test("a place that stays empty for longer and longer, until one has lived for a minute", () => {
  const delays = [1, 2, 3, 4, 5, 6, 50].map(restartDelayMs);
  expect(delays).toEqual([100, 400, 1600, 6400, 25_600, 30_000, 30_000]);
  expect(deathsInRow(3, 59_000)).toBe(4);
  expect(deathsInRow(3, 60_000)).toBe(1);
});

test.each([
  new CortexError("queue_full", "full", {
    retryAfterSecs: 3,
    details: { waiting: 2 },
    param: "model",
    next: "wait",
  }),
  new CortexError("queue_full", "full for good", { retryAfterSecs: null }),
  new CortexError("model_not_found", "none"),
])("an error is the same in the other process: $message", (error) => {
  const arrived = errorOf(structuredClone(errorMessage(error)));
  expect(arrived).toBeInstanceOf(CortexError);
  expect(arrived).toEqual(error);
});

test("an error that this version does not know is a defect", () => {
  expect(errorOf({ ...errorMessage(new CortexError("queue_full", "full")), code: "of_tomorrow" }).code).toBe(
    "internal_error",
  );
});

const summary = (request_id: string, started_at_ms: number): RequestSummary => ({
  request_id,
  started_at_ms,
  duration_ms: 1,
  route: "/v1/chat/completions",
  model: null,
  node: null,
  key: "k",
  stream: false,
  status: 200,
  code: null,
  retries: 0,
  cold_start: false,
  first_token_ms: null,
});

const explained = (at: number) => ({ ...summary("a", at), tokens: null, steps: [] });

describe("what workers tell, as one answer", () => {
  test("traffic adds up", () => {
    const one = {
      requestsInFlight: 2,
      requestsPerSec: 0.5,
      connectionsRefusedPerSec: 1,
      ofLate: { tokens: 10, errors: 1, firstTokensMs: [5] },
    };
    const all = trafficOfAll([one, { ...one, ofLate: { ...one.ofLate, firstTokensMs: [7, 9] } }]);
    expect(all).toEqual({
      requestsInFlight: 4,
      requestsPerSec: 1,
      connectionsRefusedPerSec: 2,
      ofLate: { tokens: 20, errors: 2, firstTokensMs: [5, 7, 9] },
    });
  });

  test("the latest requests of all, latest first, by worker", () => {
    const told = [
      { worker: 1, answer: [summary("d", 40), summary("a", 10)] },
      { worker: 2, answer: [summary("c", 30), summary("b", 20)] },
    ];
    expect(latestOfAll(told, 3).map(({ request_id: id, worker }) => `${id}${worker}`)).toEqual([
      "d1",
      "c2",
      "b2",
    ]);
  });

  test("of two requests with one id the last one is explained", () => {
    const told = [
      { worker: 1, answer: explained(10) },
      { worker: 2, answer: explained(20) },
      { worker: 3, answer: null },
    ];
    expect(explanationOfAll(told)).toMatchObject({ started_at_ms: 20, worker: 2 });
    expect(explanationOfAll([{ worker: 1, answer: null }])).toBeNull();
  });
});

const missing = (param: string, body: unknown) =>
  missingAnswer(
    new CortexError("previous_response_not_found", "gone", { param }),
    Buffer.from(JSON.stringify(body)),
  );

test.each([
  ["down", null, undefined],
  ["starting", 7, undefined],
  ["starting", 7, false],
  ["serving", 7, true],
  // It is dead, and its last words were read before its end was told.
  ["down", null, true],
])("a worker is %s by its process %s and whether it listens: %s", (state, pid, isListening) => {
  const traffic = {
    requestsInFlight: 2,
    requestsPerSec: 0,
    connectionsRefusedPerSec: 0,
    ofLate: { tokens: 0, errors: 0, firstTokensMs: [] },
  };
  const heard = isListening === undefined ? undefined : { isListening, traffic };
  const life = { pid, upSinceMs: pid === null ? null : 5, restarts: 1 };
  expect(workerState(3, life, heard)).toEqual({
    worker: 3,
    state,
    pid,
    up_since_ms: life.upSinceMs,
    restarts: 1,
    requests_in_flight: heard === undefined ? 0 : 2,
  });
});

describe("which kept answer is missing", () => {
  test.each([
    ["previous_response_id", { previous_response_id: "resp_1" }, "resp_1"],
    ["input.1", { input: [{}, { type: "item_reference", id: "msg_1" }] }, "msg_1"],
    ["input.7", { input: [] }, null],
    ["previous_response_id", [], null],
  ])("%s of %j: %s", (param, body, id) => {
    expect(missing(param, body)).toBe(id);
  });

  test("none, where something else failed", () => {
    const body = Buffer.from('{"previous_response_id":"resp_1"}');
    expect(missingAnswer(new CortexError("model_not_found", "none"), body)).toBeNull();
    expect(missingAnswer(new Error("defect"), body)).toBeNull();
  });
});
