import { describe, expect, test } from "vitest";
import { roundUp, usagePlot, type UsageQuestion } from "../../src/page/usage-plot.ts";
import type { UsageReport } from "../../src/protocol/gateway-api.ts";

const HOUR_MS = 3_600_000;
const NOON = Date.UTC(2026, 0, 10, 12);

const row = (changes: Partial<UsageReport["rows"][number]>): UsageReport["rows"][number] => ({
  hour_ms: NOON,
  key: "anna",
  model: "a",
  requests: 1,
  cut: 0,
  failed: 0,
  prompt_tokens: 10,
  completion_tokens: 5,
  cached_tokens: 4,
  reasoning_tokens: 0,
  ...changes,
});
const asked: UsageQuestion = { span: "day", by: "model", measure: "tokens" };
const plotOf = (rows: UsageReport["rows"], changes: Partial<UsageQuestion> = {}) =>
  usagePlot({ rows, until_ms: NOON + 90_000 }, { ...asked, ...changes });

describe("usagePlot", () => {
  test("the last column holds now, and each hour is in its own", () => {
    const { columns, totals } = plotOf([
      row({}),
      row({ hour_ms: NOON - HOUR_MS, prompt_tokens: 100, failed: 1 }),
      row({ hour_ms: NOON - 30 * HOUR_MS, prompt_tokens: 1_000_000 }),
    ]);
    expect(columns).toHaveLength(24);
    expect(columns.slice(-2).map(({ total }) => total)).toEqual([105, 15]);
    expect(columns.at(-1)?.startMs).toBe(NOON);
    expect(totals).toEqual({
      requests: 2,
      promptTokens: 110,
      completionTokens: 10,
      cachedTokens: 8,
      failed: 1,
    });
  });

  test("series by size, and what is beyond the first few in one", () => {
    const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const rows = names.map((model, at) => row({ model, requests: at + 1 }));
    const { series, columns } = plotOf(rows, { measure: "requests" });
    expect(series.map(({ name, total }) => `${name} ${total}`)).toEqual([
      "h 8",
      "g 7",
      "f 6",
      "e 5",
      "d 4",
      "others 6",
    ]);
    expect(columns.at(-1)?.values).toEqual([8, 7, 6, 5, 4, 6]);
    expect(columns.at(-1)?.total).toBe(36);
  });

  test("by key, in days", () => {
    const { series, columns } = plotOf([row({}), row({ key: "ben", hour_ms: NOON - 48 * HOUR_MS })], {
      span: "month",
      by: "key",
    });
    expect(series.map(({ name }) => name)).toEqual(["anna", "ben"]);
    expect(columns).toHaveLength(30);
    expect(columns.at(-3)?.values).toEqual([0, 15]);
  });

  test("nothing has a scale all the same", () => {
    expect(plotOf([])).toMatchObject({ series: [], top: 1 });
  });
});

test.each([
  [0, 1],
  [1, 1],
  [3, 5],
  [20, 20],
  [128, 200],
  [5_100_000, 10_000_000],
])("roundUp(%d) is %d", (value, round) => {
  expect(roundUp(value)).toBe(round);
});
