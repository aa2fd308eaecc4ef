import { formatDuration } from "../../core/quantities.ts";
import type { BenchReport } from "../../protocol/findings/bench-report.ts";

const [WIDTH, HEIGHT] = [760, 360];
const [LEFT, TOP, RIGHT, BOTTOM] = [56, 44, 24, 48];

const SERIES = [
  { of: "first_token_samples_ms", name: "first token", colour: "#4f46e5" },
  { of: "answer_samples_ms", name: "whole answer", colour: "#0e9384" },
] as const;

/** How much of the requests had their first token, and their whole answer, after how long: a picture for any browser. */
export function svgChart(report: BenchReport): string {
  const most = Math.max(1, ...report.answer_samples_ms.slice(-1), ...report.first_token_samples_ms.slice(-1));
  const x = (ms: number) => tidy(LEFT + (ms / most) * (WIDTH - LEFT - RIGHT));
  const y = (part: number) => tidy(HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM));
  const lines = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(part)}" y2="${y(part)}" stroke="#d5d9e2"/>` +
      `<text x="${LEFT - 8}" y="${y(part) + 4}" text-anchor="end">${part * 100} %</text>` +
      `<text x="${x(part * most)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${formatDuration(part * most)}</text>`,
  );
  const curves = SERIES.map(({ of, name, colour }, at) => {
    const points = report[of].map((ms, index) => `${x(ms)},${y((index + 1) / report[of].length)}`);
    const key = LEFT + at * 150;
    return (
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${[`${x(0)},${y(0)}`, ...points].join(" ")}"/>` +
      `<rect x="${key}" y="${HEIGHT - 18}" width="12" height="12" fill="${colour}"/>` +
      `<text x="${key + 18}" y="${HEIGHT - 8}">${name}</text>`
    );
  });
  const title = `${report.model}: ${modeText(report)}, ${report.answered} of ${report.requests} answered`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">
<title>${escaped(title)}</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="24" font-size="15" font-weight="600">${escaped(title)}</text>
${[...lines, ...curves].join("\n")}
</svg>
`;
}

/** "8 clients", "4 requests a second". */
export const modeText = ({ mode }: Pick<BenchReport, "mode">): string =>
  mode.kind === "closed"
    ? `${mode.clients} client${mode.clients === 1 ? "" : "s"}`
    : `${mode.perSecond} request${mode.perSecond === 1 ? "" : "s"} a second`;

export interface HistogramBar {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
}

/** Equal spans from nothing to the slowest. */
export function histogramOf(ascending: readonly number[], bars: number): readonly HistogramBar[] {
  const most = ascending.at(-1);
  if (most === undefined) return [];
  const step = Math.max(most, 1) / bars;
  const made = Array.from({ length: bars }, (_, at) => ({
    fromMs: at * step,
    toMs: (at + 1) * step,
    count: 0,
  }));
  for (const ms of ascending) {
    const bar = made[Math.min(bars - 1, Math.floor(ms / step))];
    if (bar !== undefined) bar.count += 1;
  }
  return made;
}

const tidy = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
