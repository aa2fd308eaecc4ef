import { formatBytes, formatDuration, formatMib } from "../../core/quantities.ts";
import { boardSecsLeft, secsLeft, type ApplyBoard, type BoardLane, type RunningStep } from "./apply-board.ts";
import { bar } from "./bar.ts";

export interface ScreenOptions {
  readonly columns: number;
  readonly rows: number;
  readonly unicode: boolean;
  readonly nowMs: number;
}

/** A line of the screen; `tone` is how it is painted where colours are wanted. */
export interface ScreenRow {
  readonly text: string;
  readonly tone: "plain" | "dim" | "red" | "yellow";
}

const WIDE_COLUMNS = 120;
const isWide = ({ columns }: ScreenOptions): boolean => columns >= WIDE_COLUMNS;
/** Blank line, totals, and what is said of lanes that are not shown. */
const ROWS_BESIDE_LANES = 4;

/**
 * The lanes that are at work, as many as the screen has room for, and the totals. Every row is cut to the width, so that the
 * screen never wraps and is redrawn in place.
 */
export function boardRows(
  board: ApplyBoard,
  notice: string | undefined,
  options: ScreenOptions,
): ScreenRow[] {
  const active = board.lanes.filter(({ running }) => running !== undefined);
  const room = Math.max(1, Math.floor((options.rows - ROWS_BESIDE_LANES) / (isWide(options) ? 2 : 3)));
  const shown = active.slice(0, room);
  const nameWidth = Math.min(16, Math.max(0, ...shown.map(({ neuron }) => neuron.length)));
  const rows = shown.flatMap((lane) => laneRows(lane, nameWidth, options));
  const hidden = active.length - shown.length;
  if (hidden > 0) rows.push({ text: `  and ${hidden} more at work`, tone: "dim" });
  rows.push({ text: totals(board, options), tone: "plain" });
  if (notice !== undefined) rows.push({ text: `  ${notice}`, tone: "yellow" });
  return rows.map(({ text, tone }) => ({ text: cut(text, options), tone }));
}

/** What it is, how far, and the memory: two rows where there is width, else three. */
// oxlint-disable-next-line max-params -- what, how aligned, and where
function laneRows(lane: BoardLane, nameWidth: number, options: ScreenOptions): ScreenRow[] {
  const { running, neuron } = lane;
  if (running === undefined) return [];
  const name = shortened(neuron, nameWidth, options).padEnd(nameWidth);
  const blank = " ".repeat(nameWidth);
  const position = `${lane.done + lane.failed + lane.skipped + 1}/${lane.total}`;
  const what = `  ${name}  ${progressBar(running, options)}  ${position}  ${running.title}`;
  const far = `${stateText(running, options)}, ${timeText(running, options)}`;
  const tone = running.progress?.state === "busy" ? "yellow" : "plain";
  const memory: ScreenRow = { text: `  ${blank}  ${memoryText(lane, nameWidth, options)}`, tone: "dim" };
  return isWide(options)
    ? [{ text: `${what}  ${far}`, tone }, memory]
    : [{ text: what, tone }, { text: `  ${blank}  ${far}`, tone }, memory];
}

function timeText(running: RunningStep, { nowMs }: ScreenOptions): string {
  const left = secsLeft(running, nowMs);
  return left === null ? `for ${seconds((nowMs - running.startedMs) / 1000)}` : `${seconds(left)} left`;
}

/** Whole seconds: tenths on a screen that is redrawn twice a second are noise. */
const seconds = (secs: number): string =>
  secs < 60 ? `${Math.ceil(secs)} s` : formatDuration(Math.ceil(secs) * 1000);

const progressWidth = (options: ScreenOptions): number => (isWide(options) ? 24 : 10);

/** "█████░░░░░  52 %"; empty space as wide where nobody knows how far it is. */
function progressBar({ progress }: RunningStep, options: ScreenOptions): string {
  const fraction = fractionOf(progress);
  const width = progressWidth(options);
  if (fraction === null) return `${bar(0, width, options.unicode)}      `;
  return `${bar(fraction, width, options.unicode)} ${String(Math.floor(fraction * 100)).padStart(3)} %`;
}

function fractionOf(progress: RunningStep["progress"]): number | null {
  if (progress === undefined) return null;
  const { download, fraction } = progress;
  if (download?.bytes_total == null || download.bytes_total === 0) return fraction;
  return download.bytes_done / download.bytes_total;
}

function stateText({ progress }: RunningStep, options: ScreenOptions): string {
  if (progress === undefined) return "asking";
  const { state, download, reason } = progress;
  if (state === "busy")
    return isWide(options) && reason !== undefined ? `busy (${reason}), asking again` : "busy, asking again";
  if (download === undefined) return state;
  const total = download.bytes_total === null ? "" : ` of ${formatBytes(download.bytes_total)}`;
  return `${state} ${formatBytes(download.bytes_done)}${total}`;
}

/** "0: █████▍░░ 21.4 of 32.0 GiB": as many devices as have room, the fullest bar of all where they have not. */
// oxlint-disable-next-line max-params -- what, how aligned, and where
function memoryText({ devices }: BoardLane, nameWidth: number, options: ScreenOptions): string {
  const width = isWide(options) ? 16 : 8;
  const texts = devices.map(({ index, usedMb, totalMb }) => {
    const used = totalMb === 0 ? 0 : usedMb / totalMb;
    return `device ${index} ${bar(used, width, options.unicode)} ${formatMib(usedMb)} of ${formatMib(totalMb)}`;
  });
  const room = options.columns - nameWidth - 4;
  const fitting: string[] = [];
  for (const [position, text] of texts.entries()) {
    const rest = texts.length - position - 1;
    const tail = rest === 0 ? "" : `   and ${rest} more`;
    if ([...fitting, text].join("   ").length + tail.length > room && position > 0) {
      return `${fitting.join("   ")}   and ${rest + 1} more`;
    }
    fitting.push(text);
  }
  return fitting.join("   ");
}

function totals(board: ApplyBoard, { nowMs }: ScreenOptions): string {
  const count = (of: (lane: BoardLane) => number): number =>
    board.lanes.reduce((total, lane) => total + of(lane), 0);
  const failed = count((lane) => lane.failed);
  const skipped = count((lane) => lane.skipped);
  const left = boardSecsLeft(board, nowMs);
  const parts = [
    `${count((lane) => lane.done)} of ${count((lane) => lane.total)} applied`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
    seconds((nowMs - board.startedMs) / 1000),
    ...(left === null ? [] : [`about ${seconds(left)} left`]),
  ];
  return `  ${parts.join(", ")}`;
}

function shortened(text: string, width: number, { unicode }: ScreenOptions): string {
  if (text.length <= width) return text;
  return unicode ? `${text.slice(0, width - 1)}…` : `${text.slice(0, width - 1)}~`;
}

const cut = (text: string, options: ScreenOptions): string =>
  shortened(text.trimEnd(), options.columns - 1, options);
