import { by, compareText } from "../../core/order.ts";
import type { UsageReport } from "../../protocol/gateway-api.ts";
import { fitTable, type TableCell, type TableColumn } from "../print/fit-table.ts";
import type { Look, View } from "../view/view.ts";

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
  return { json: summary, human: (look) => printUsage(summary, groups, look) };
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

const COUNTS: readonly TableColumn[] = [
  { name: "REQUESTS", right: true },
  { name: "CUT", right: true, drop: 3 },
  { name: "FAILED", right: true, drop: 2 },
  { name: "PROMPT", right: true },
  { name: "CACHED", right: true, drop: 1 },
  { name: "ANSWER", right: true },
];

const CAPS: readonly TableColumn[] = [
  { name: "KEY", least: 8 },
  { name: "SPENT", right: true },
  { name: "CAP", right: true },
  { name: "USED", right: true },
  { name: "WINDOW", drop: 1 },
];

/** A budget that is nearly spent is worth a look. */
const NEARLY_SPENT = 0.8;

// oxlint-disable-next-line max-params -- what, told apart by what, and how
function printUsage(
  { since, until, rows, keys }: UsageSummary,
  groups: readonly UsageGroup[],
  look: Look,
): string {
  if (rows.length === 0) return `Nothing was used between ${since} and ${until}.`;
  const named = groups.map((group): TableColumn => ({ name: group.toUpperCase(), least: 8 }));
  const cells = rows.map((row) =>
    [
      ...groups.map((group) => row[group] ?? ""),
      ...[row.requests, row.cut, row.failed, row.prompt_tokens, row.cached_tokens, row.completion_tokens].map(
        String,
      ),
    ].map((text): TableCell => ({ text })),
  );
  const caps = capCells(keys);
  return [
    `${since} to ${until}, in tokens`,
    fitTable([...named, ...COUNTS], cells, look),
    ...(caps.length === 0 ? [] : [fitTable(CAPS, caps, look)]),
  ].join("\n\n");
}

const capCells = (keys: UsageSummary["keys"]): TableCell[][] =>
  keys
    .flatMap(({ id, hard_cap: cap, window_secs: secs, spent_tokens: spent }) =>
      cap === null ? [] : [{ id, cap, secs, spent }],
    )
    .toSorted(by(({ id }) => id))
    .map(({ id, cap, secs, spent }) => [
      { text: id },
      { text: String(spent) },
      { text: String(cap) },
      {
        text: `${Math.round((100 * spent) / cap)} %`,
        style: spent >= cap ? "red" : spent >= NEARLY_SPENT * cap ? "yellow" : undefined,
      },
      { text: secs === null ? "in all" : `in ${secs} s` },
    ]);
