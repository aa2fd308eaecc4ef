import { formatDuration } from "../../core/quantities.ts";
import type { BenchReport } from "../../protocol/findings/bench-report.ts";
import { paint } from "../print/paint.ts";
import { tableText } from "../print/table.ts";
import type { Look, View } from "../view/view.ts";

interface Shown {
  /** "8 clients". */
  readonly mode: string;
  readonly histogram: readonly { readonly fromMs: number; readonly toMs: number; readonly count: number }[];
}

export const benchView = (report: BenchReport, shown: Shown): View<BenchReport> => ({
  json: report,
  human: (look) => benchText(report, shown, look),
});

function benchText(report: BenchReport, { mode, histogram }: Shown, look: Look): string {
  const { answered, requests, wall_secs: seconds, failed } = report;
  const spreads = [
    ["first token", report.first_token_ms],
    ["between tokens", report.between_tokens_ms],
    ["whole answer", report.answer_ms],
  ] as const;
  const rows = spreads.flatMap(([name, spread]) =>
    spread === null
      ? []
      : [
          [
            name,
            ...[spread.mean, spread.p50, spread.p90, spread.p95, spread.p99, spread.max].map(formatDuration),
          ],
        ],
  );
  const failures = failed.map(
    ({ code, message, count }) => `${paint(`${count} failed`, "red", look.colour)}  ${code}: ${message}`,
  );
  return [
    `${paint(report.model, "bold", look.colour)} at ${report.url}, ${mode}`,
    `${answered} of ${requests} answered in ${formatDuration(seconds * 1000)}: ${report.requests_per_sec} requests/s, ` +
      `${report.completion_tokens_per_sec} tokens/s (${report.prompt_tokens} + ${report.completion_tokens} tokens)`,
    ...failures,
    "",
    ...(rows.length === 0 ? [] : [tableText(["", "mean", "p50", "p90", "p95", "p99", "max"], rows)]),
    ...(histogram.length === 0 ? [] : ["", "time to the first token", histogramText(histogram, look)]),
  ].join("\n");
}

const BAR_WIDTH = 40;

function histogramText(histogram: Shown["histogram"], { unicode = false }: Look): string {
  const most = Math.max(1, ...histogram.map(({ count }) => count));
  return histogram
    .map(({ toMs, count }) => {
      const length = Math.round((count / most) * BAR_WIDTH);
      const bar = (unicode ? "█" : "#").repeat(count > 0 ? Math.max(1, length) : 0);
      return `  up to ${formatDuration(toMs).padStart(9)}  ${bar}${bar === "" ? "" : " "}${count}`;
    })
    .join("\n");
}
