import type { UsageReport } from "../protocol/gateway-api.ts";

const HOUR_MS = 3_600_000;

/** Spans that can be shown, each in columns of a length that leaves them wide enough to be seen on a phone. */
export const USAGE_SPANS = {
  day: { label: "24 hours", ms: 24 * HOUR_MS, columnMs: HOUR_MS },
  week: { label: "7 days", ms: 168 * HOUR_MS, columnMs: 6 * HOUR_MS },
  month: { label: "30 days", ms: 720 * HOUR_MS, columnMs: 24 * HOUR_MS },
} as const;
export type UsageSpan = keyof typeof USAGE_SPANS;

export type UsageMeasure = "tokens" | "requests";

export interface UsageQuestion {
  readonly span: UsageSpan;
  readonly by: "model" | "key";
  readonly measure: UsageMeasure;
}

export interface UsageSeries {
  readonly name: string;
  readonly total: number;
}

export interface UsageColumn {
  readonly startMs: number;
  readonly total: number;
  /** In the order of the series; what has none of it is 0. */
  readonly values: readonly number[];
}

export interface UsagePlot {
  /** The largest first; what is beyond the first few is one series, "others". */
  readonly series: readonly UsageSeries[];
  readonly columns: readonly UsageColumn[];
  /** A round number that no column exceeds. */
  readonly top: number;
  readonly totals: {
    readonly requests: number;
    readonly promptTokens: number;
    readonly completionTokens: number;
    readonly cachedTokens: number;
    readonly failed: number;
  };
}

const MOST_SERIES = 6;
export const OTHERS = "others";

type Row = UsageReport["rows"][number];

/** What was used, stacked by model or key. Columns begin at whole multiples of their length, in UTC as the ledger's hours do. */
export function usagePlot(report: Pick<UsageReport, "rows" | "until_ms">, asked: UsageQuestion): UsagePlot {
  const { ms: spanMs, columnMs } = USAGE_SPANS[asked.span];
  const endMs = Math.floor(report.until_ms / columnMs) * columnMs + columnMs;
  const startMs = endMs - spanMs;
  const rows = report.rows.filter(({ hour_ms: at }) => at >= startMs && at < endMs);
  const series = seriesOf(rows, asked);
  const position = new Map(series.map(({ name }, at) => [name, at]));
  const columns = Array.from({ length: spanMs / columnMs }, (_, at) => ({
    startMs: startMs + at * columnMs,
    values: series.map(() => 0),
  }));
  for (const row of rows) {
    const column = columns[Math.floor((row.hour_ms - startMs) / columnMs)];
    const at = position.get(row[asked.by]) ?? series.length - 1;
    if (column !== undefined) column.values[at] = (column.values[at] ?? 0) + valueOf(row, asked);
  }
  const summed = columns.map((column) => ({ ...column, total: sum(column.values) }));
  return {
    series,
    columns: summed,
    top: roundUp(Math.max(0, ...summed.map(({ total }) => total))),
    totals: {
      requests: sum(rows.map(({ requests }) => requests)),
      promptTokens: sum(rows.map((row) => row.prompt_tokens)),
      completionTokens: sum(rows.map((row) => row.completion_tokens)),
      cachedTokens: sum(rows.map((row) => row.cached_tokens)),
      failed: sum(rows.map(({ failed }) => failed)),
    },
  };
}

function seriesOf(rows: readonly Row[], asked: UsageQuestion): readonly UsageSeries[] {
  const totals = new Map<string, number>();
  for (const row of rows) {
    const name = row[asked.by];
    totals.set(name, (totals.get(name) ?? 0) + valueOf(row, asked));
  }
  const sorted = [...totals]
    .map(([name, total]) => ({ name, total }))
    .toSorted((one, other) => other.total - one.total || (one.name < other.name ? -1 : 1));
  if (sorted.length <= MOST_SERIES) return sorted;
  const rest = sorted.slice(MOST_SERIES - 1);
  return [...sorted.slice(0, MOST_SERIES - 1), { name: OTHERS, total: sum(rest.map(({ total }) => total)) }];
}

const valueOf = (row: Row, { measure }: UsageQuestion): number =>
  measure === "requests" ? row.requests : row.prompt_tokens + row.completion_tokens;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** 1, 2 or 5 and zeros; 1 for nothing, so that an empty plot has a scale. */
export function roundUp(value: number): number {
  if (value <= 1) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * magnitude >= value) ?? 10) * magnitude;
}
