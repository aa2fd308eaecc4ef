import { describe, expect, test } from "vitest";
import type { RequestRecord } from "../../../src/gateway/request-record.ts";
import { countTraffic, trafficOfLate } from "../../../src/gateway/traffic-of-late.ts";

const NOW_MS = 100_000;

const record = (of: Partial<RequestRecord>): RequestRecord => ({
  requestId: "r",
  startedAtEpochMs: 0,
  startedAtMs: NOW_MS - 5000,
  route: "/v1/chat/completions",
  key: "anonymous",
  stream: true,
  steps: [],
  modelId: "m",
  neuron: "n",
  errorCode: undefined,
  firstContentMs: undefined,
  retries: 0,
  coldStart: false,
  usage: undefined,
  costSoFar: undefined,
  durationMs: undefined,
  status: undefined,
  ...of,
});

const usage = (completionTokens: number) => ({
  promptTokens: 1,
  completionTokens,
  cachedTokens: 0,
  reasoningTokens: 0,
});

const soFar = (eventsPassed: number) => () => ({
  usage: undefined,
  promptTokens: undefined,
  eventsPassed,
  bytesPassed: 0,
});

const traffic = (...records: readonly RequestRecord[]) => trafficOfLate(countTraffic(records, NOW_MS));

describe("tokens a second", () => {
  test("an answer within the window counts whole", () => {
    const answered = record({ firstContentMs: 1000, durationMs: 4000, status: 200, usage: usage(50) });
    expect(traffic(answered).tokens_per_sec).toBe(5);
  });

  test("of an answer that began before the window only what came in it", () => {
    const long = record({
      startedAtMs: NOW_MS - 40_000,
      firstContentMs: 0,
      durationMs: 40_000,
      status: 200,
      usage: usage(400),
    });
    expect(traffic(long).tokens_per_sec).toBe(10);
  });

  test("an answer under way counts by the events that have come", () => {
    expect(traffic(record({ firstContentMs: 1000, costSoFar: soFar(20) })).tokens_per_sec).toBe(2);
  });

  test("what ended before the window counts no more", () => {
    const old = record({ startedAtMs: NOW_MS - 30_000, durationMs: 5000, usage: usage(1000) });
    expect(traffic(old).tokens_per_sec).toBe(0);
  });
});

describe("the last minute", () => {
  test("percentiles of first tokens", () => {
    const records = Array.from({ length: 100 }, (_, at) => record({ firstContentMs: at + 1 }));
    expect(traffic(...records).first_token_ms).toEqual({ p50: 50, p95: 95 });
  });

  test("no stream, no figure", () => {
    expect(traffic(record({ durationMs: 10, status: 200 })).first_token_ms).toBeNull();
    const old = record({ startedAtMs: NOW_MS - 90_000, firstContentMs: 1, durationMs: 100 });
    expect(traffic(old).first_token_ms).toBeNull();
  });

  test("errors are those of the gateway and the neurons, no clients that left", () => {
    const failed = record({ durationMs: 10, status: 503, errorCode: "queue_full" });
    const left = record({ durationMs: 10, status: 499, errorCode: "client_closed_request" });
    const old = record({ startedAtMs: 0, durationMs: 10, status: 503, errorCode: "queue_full" });
    expect(traffic(failed, failed, left, old, record({})).errors_per_min).toBe(2);
  });
});
