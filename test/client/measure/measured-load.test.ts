import { describe, expect, test } from "vitest";
import { histogramOf, modeText, svgChart } from "../../../src/client/measure/load-chart.ts";
import { percentilesOf, summarize, type MeasuredRequest } from "../../../src/client/measure/measured-load.ts";
import { promptsOf } from "../../../src/client/measure/prompts.ts";

const answered = (firstTokenMs: number, totalMs: number): MeasuredRequest => ({
  kind: "answered",
  firstTokenMs,
  totalMs,
  gapsMs: [10, 20],
  promptTokens: 7,
  completionTokens: 3,
});
const failed = (code: string): MeasuredRequest => ({ kind: "failed", code, message: `because ${code}` });

const report = summarize({
  url: "http://h",
  model: "org/a<b>",
  mode: { kind: "closed", clients: 2 },
  wallMs: 2000,
  requests: [answered(300, 900), failed("queue_full"), answered(100, 500), failed("x"), failed("queue_full")],
});

test("a report counts what came, and of failures the most frequent first", () => {
  expect(report).toMatchObject({
    requests: 5,
    answered: 2,
    requests_per_sec: 1,
    prompt_tokens: 14,
    completion_tokens: 6,
    completion_tokens_per_sec: 3,
    first_token_ms: { mean: 200, p50: 100, p90: 300, max: 300 },
    between_tokens_ms: { p50: 10, p99: 20 },
    answer_ms: { p50: 500, max: 900 },
    first_token_samples_ms: [100, 300],
  });
  expect(report.failed.map(({ code, count }) => `${code} ${count}`)).toEqual(["queue_full 2", "x 1"]);
});

test("of nothing there are no percentiles", () => {
  const empty = summarize({
    url: "",
    model: "",
    mode: { kind: "open", perSecond: 1 },
    wallMs: 0,
    requests: [],
  });
  expect(empty).toMatchObject({ first_token_ms: null, answer_ms: null, requests_per_sec: 0 });
  expect(histogramOf([], 4)).toEqual([]);
  expect(svgChart(empty)).toContain("<svg");
});

describe("percentilesOf", () => {
  test("is the smallest value that so many do not exceed", () => {
    const hundred = Array.from({ length: 100 }, (_, at) => at + 1);
    expect(percentilesOf(hundred)).toEqual({ mean: 50.5, p50: 50, p90: 90, p95: 95, p99: 99, max: 100 });
    expect(percentilesOf([5])).toEqual({ mean: 5, p50: 5, p90: 5, p95: 5, p99: 5, max: 5 });
  });
});

test("a histogram holds every value once, the slowest too", () => {
  const bars = histogramOf([0, 10, 10, 55, 100], 10);
  expect(bars.map(({ count }) => count)).toEqual([1, 2, 0, 0, 0, 1, 0, 0, 0, 1]);
});

test("the chart is a picture whose words are escaped, and whose curves end at all requests", () => {
  const svg = svgChart(report);
  expect(svg).toContain("org/a&lt;b&gt;: 2 clients, 2 of 5 answered");
  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(modeText({ mode: { kind: "open", perSecond: 2.5 } })).toBe("2.5 requests a second");
});

test("prompts differ from their first words on, and are the same in every run", () => {
  const prompts = promptsOf(20, 5, 3);
  expect(new Set(prompts).size).toBe(20);
  expect(promptsOf(20, 5, 3)).toEqual(prompts);
  expect(prompts[0]?.split(" ")).toHaveLength(5);
});
