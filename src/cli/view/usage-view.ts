import { by, compareText } from "../../core/order.ts";
import type { UsageReport } from "../../protocol/gateway-api.ts";
import { tableText } from "../print/table.ts";
import type { View } from "./view.ts";

export const USAGE_GROUPS = ["key", "model", "day"] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

type UsageCounts = Omit<UsageReport["rows"][number], "hour_ms" | "key" | "model">;

export interface UsageSummary {
  readonly since: string;
  readonly until: string;
  readonly rows: readonly (Partial<Record<UsageGroup, string>> & UsageCounts)[];
  readonly keys: UsageReport["keys"];
}

/** The report added up over what is not asked for. */
export function usageView(report: UsageReport, groups: readonly UsageGroup[]): View<UsageSummary> {
  const summary = {
    since: isoMinute(report.since_ms),
    until: isoMinute(report.until_ms),
    rows: addedUp(report.rows, groups),
    keys: report.keys,
  };
  return { json: summary, human: () => printUsage(summary, groups) };
}

const isoMinute = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}Z`;

function addedUp(rows: UsageReport["rows"], groups: readonly UsageGroup[]): UsageSummary["rows"] {
  const sums = new Map<string, UsageSummary["rows"][number]>();
  for (const { hour_ms: hourMs, key, model, ...counts } of rows) {
    const all = { key, model, day: new Date(hourMs).toISOString().slice(0, 10) };
    const names = groups.map((group) => all[group]);
    const name = JSON.stringify(names);
    const before = sums.get(name);
    const named = Object.fromEntries(groups.map((group) => [group, all[group]]));
    sums.set(name, { ...named, ...(before === undefined ? counts : plus(before, counts)) });
  }
  return [...sums.entries()].toSorted(([one], [other]) => compareText(one, other)).map(([, row]) => row);
}

const plus = (one: UsageCounts, other: UsageCounts): UsageCounts => ({
  requests: one.requests + other.requests,
  cut: one.cut + other.cut,
  failed: one.failed + other.failed,
  prompt_tokens: one.prompt_tokens + other.prompt_tokens,
  completion_tokens: one.completion_tokens + other.completion_tokens,
  cached_tokens: one.cached_tokens + other.cached_tokens,
  reasoning_tokens: one.reasoning_tokens + other.reasoning_tokens,
});

function printUsage({ since, until, rows, keys }: UsageSummary, groups: readonly UsageGroup[]): string {
  if (rows.length === 0) return `Nothing was used between ${since} and ${until}.`;
  const head = [
    ...groups.map((group) => group.toUpperCase()),
    "REQUESTS",
    "CUT",
    "FAILED",
    "PROMPT",
    "CACHED",
    "ANSWER",
  ];
  const cells = rows.map((row) => [
    ...groups.map((group) => row[group] ?? ""),
    ...[row.requests, row.cut, row.failed, row.prompt_tokens, row.cached_tokens, row.completion_tokens].map(
      String,
    ),
  ]);
  const capped = keys
    .flatMap(({ id, hard_cap: cap, window_secs: secs, spent_tokens: spent }) =>
      cap === null ? [] : [{ id, cap, secs, spent }],
    )
    .toSorted(by(({ id }) => id));
  const caps = capped.map(({ id, cap, secs, spent }) => [
    id,
    String(spent),
    String(cap),
    `${Math.round((100 * spent) / cap)} %`,
    secs === null ? "in all" : `in ${secs} s`,
  ]);
  return [
    `${since} to ${until}, in tokens`,
    tableText(head, cells),
    ...(caps.length === 0 ? [] : [tableText(["KEY", "SPENT", "CAP", "USED", "WINDOW"], caps)]),
  ].join("\n\n");
}
