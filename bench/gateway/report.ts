import type { Scenario } from "./scenarios.ts";

/** One system in one round. */
export interface Cell {
  /** Processor time of a request. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of events; not a number where nothing was streamed. */
  readonly ageP50Ms: number;
  readonly ageP99Ms: number;
  readonly mib: number;
}

export interface Measured {
  readonly scenario: Scenario;
  /** By system, a cell for each round. */
  readonly cells: ReadonlyMap<string, readonly Cell[]>;
}

interface Row {
  readonly name: string;
  readonly cpuUs: number;
  readonly leastUs: number;
  readonly timesBare: number;
  readonly eventUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly ageP50Ms: number;
  readonly ageP99Ms: number;
  readonly mib: number;
}

const BARE = "bare relay";

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? Number.NaN;

function rowsOf({ scenario, cells }: Measured): readonly Row[] {
  const bare = cells.get(BARE) ?? [];
  return [...cells].map(([name, of]) => ({
    name,
    cpuUs: median(of.map(({ cpuUs }) => cpuUs)),
    leastUs: Math.min(...of.map(({ cpuUs }) => cpuUs)),
    // Round by round: what else the machine does in one of them meets both.
    timesBare: median(of.map(({ cpuUs }, round) => cpuUs / (bare[round]?.cpuUs ?? Number.NaN))),
    eventUs: median(of.map(({ cpuUs }) => cpuUs / scenario.events)),
    p50Ms: median(of.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(of.map(({ p99Ms }) => p99Ms)),
    ageP50Ms: median(of.map(({ ageP50Ms }) => ageP50Ms)),
    ageP99Ms: median(of.map(({ ageP99Ms }) => ageP99Ms)),
    mib: Math.max(...of.map(({ mib }) => mib)),
  }));
}

type Column = readonly [head: string, of: (row: Row) => string];

const WHOLE_COLUMNS: readonly Column[] = [
  ["CPU us/rq", ({ cpuUs }) => cpuUs.toFixed(0)],
  ["least", ({ leastUs }) => leastUs.toFixed(0)],
  ["x bare", ({ timesBare }) => timesBare.toFixed(2)],
  ["p50 ms", ({ p50Ms }) => p50Ms.toFixed(2)],
  ["p99 ms", ({ p99Ms }) => p99Ms.toFixed(2)],
  ["RSS MiB", ({ mib }) => mib.toFixed(0)],
];

const STREAM_COLUMNS: readonly Column[] = [
  ["CPU us/event", ({ eventUs }) => eventUs.toFixed(1)],
  ["events/CPU s", ({ eventUs }) => (1e6 / eventUs).toFixed(0)],
  ["x bare", ({ timesBare }) => timesBare.toFixed(2)],
  ["age p50 ms", ({ ageP50Ms }) => ageP50Ms.toFixed(2)],
  ["age p99 ms", ({ ageP99Ms }) => ageP99Ms.toFixed(2)],
  ["RSS MiB", ({ mib }) => mib.toFixed(0)],
];

const columnsOf = ({ events }: Scenario): readonly Column[] =>
  events === 0 ? WHOLE_COLUMNS : STREAM_COLUMNS;

const NAME_WIDTH = 14;
const WIDTH = 13;

/** For a terminal, and for results.txt. */
export function tableOf(measured: Measured): string {
  const { scenario } = measured;
  const columns = columnsOf(scenario);
  const head = " ".repeat(NAME_WIDTH) + columns.map(([name]) => name.padStart(WIDTH)).join("");
  const rows = rowsOf(measured).map(
    (row) => row.name.padEnd(NAME_WIDTH) + columns.map(([, of]) => of(row).padStart(WIDTH)).join(""),
  );
  return `${scenario.name}: ${scenario.what}\n${head}\n${rows.join("\n")}\n`;
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function markdownOf(measured: Measured): string {
  const { scenario } = measured;
  const columns = columnsOf(scenario);
  const rows = rowsOf(measured).map((row) => line([row.name, ...columns.map(([, of]) => of(row))]));
  const head = line(["", ...columns.map(([name]) => name)]);
  const rule = line(["---", ...columns.map(() => "---:")]);
  return `## ${scenario.name}: ${scenario.what}\n\n${[head, rule, ...rows].join("\n")}\n`;
}

/** docs/gateway-speed.md */
export const pageOf = (
  measured: readonly Measured[],
  { machine, how }: { readonly machine: string; readonly how: string },
): string =>
  [
    "# How fast the gateway is",
    "Written by `npm run bench:gateway`; not by hand. What a request and an event of a stream cost the gateway in processor time, with keys, routing, metering, metrics and the log on, beside a bare relay of Node's `http` and undici (`bench/gateway/bare-relay.ts`), which does nothing else, and nginx.",
    `${machine}; ${how}. \`x bare\` is the median of the rounds' own ratios; memory is the largest seen. \`before\` is another checkout, where one was named.`,
    "![processor time beside the bare relay](gateway-speed.svg)",
    ...measured.map((one) => markdownOf(one).trimEnd()),
    "What moved these numbers, and what is left: [decisions/0017](decisions/0017-requests-pass-beside-the-framework.md).",
    "",
  ].join("\n\n");

const BAR_HEIGHT = 14;
const LEFT = 190;
const CHART_WIDTH = 760;

/** A group of bars for each scenario: processor time in terms of the bare relay's. */
export function chartOf(measured: readonly Measured[]): string {
  const groups = measured.map((one) => ({ one, rows: rowsOf(one) }));
  const most = Math.max(1.5, ...groups.flatMap(({ rows }) => rows.map(({ timesBare }) => timesBare)));
  const scale = (CHART_WIDTH - LEFT - 130) / most;
  let y = 20;
  const parts: string[] = [];
  for (const { one, rows } of groups) {
    parts.push(`<text x="0" y="${y + 11}" class="group">${one.scenario.name}</text>`);
    for (const row of rows) {
      const width = (row.timesBare * scale).toFixed(1);
      const each =
        one.scenario.events === 0 ? `${row.cpuUs.toFixed(0)} us` : `${row.eventUs.toFixed(1)} us an event`;
      parts.push(
        `<text x="${LEFT - 8}" y="${y + 11}" text-anchor="end">${row.name}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR_HEIGHT - 3}" class="${row.name === "cortex" ? "own" : "other"}"/>`,
        `<text x="${(LEFT + Number(width) + 6).toFixed(1)}" y="${y + 11}">${row.timesBare.toFixed(2)} (${each})</text>`,
      );
      y += BAR_HEIGHT;
    }
    y += 12;
  }
  const style =
    "text{font:12px system-ui,sans-serif;fill:#666}.group{font-weight:600}.own{fill:#2563eb}.other{fill:#9ca3af}";
  const title = "Processor time as a multiple of the bare relay's";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${CHART_WIDTH} ${y}" role="img" aria-label="${title}">\n<style>${style}</style>\n<text x="0" y="12">${title}</text>\n${parts.join("\n")}\n</svg>\n`;
}
