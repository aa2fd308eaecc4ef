import { assertNever } from "../../core/assert-never.ts";
import type { RequestSummary } from "../../protocol/request-explanation.ts";
import type { ModelRow, ModelRowState } from "../overview/model-rows.ts";
import type { NeuronRow, NeuronRowState } from "../overview/neuron-rows.ts";
import type { Paint } from "../print/paint.ts";
import { agoText, latencyText, memoryPair, rateText, shortDuration } from "../print/short-words.ts";
import { headLine, placeColumns, rowLine, type Column, type Row } from "./columns.ts";
import type { NewsItem } from "./fleet-news.ts";
import { ruleLine, spanLine, type FrameLook, type Span } from "./frame-look.ts";
import {
  listedModels,
  listedNeurons,
  listedNews,
  listedRequests,
  newsKey,
  orderName,
  selectedKey,
} from "./listed-rows.ts";
import { memoryBar, memoryLegend } from "./memory-bar.ts";
import type { Pane, TopState } from "./top-state.ts";

export interface PaneBox {
  readonly width: number;
  readonly height: number;
}

/** Columns of a pane, and its rows in order, each with the key by which it is selected. */
interface PaneTable {
  readonly columns: readonly Column[];
  readonly rows: readonly { readonly key: string; readonly cells: () => readonly Span[] }[];
  /** Rows of the list, where one may take several lines. */
  readonly count: number;
  readonly notes: readonly string[];
  /** Instead of rows, where there are none. */
  readonly empty: string;
}

/** Lines of the table that a pane wants, its title and head included. */
export function wantedHeight(state: TopState, pane: Pane): number {
  switch (pane) {
    case "neurons":
      return (
        2 +
        Math.max(
          1,
          listedNeurons(state).reduce((sum, row) => sum + linesOfNeuron(row), 0),
        )
      );
    case "models":
      return 2 + Math.max(1, listedModels(state).length);
    case "requests":
      return 2 + Math.max(1, listedRequests(state).length);
    case "events":
      return 1 + Math.max(1, listedNews(state).length);
    default:
      return assertNever(pane);
  }
}

const linesOfNeuron = ({ devices, state }: NeuronRow): number =>
  state === "down" || state === "unknown" ? 1 : Math.max(1, devices.length);

/** A pane in exactly as many lines as it has. */
// oxlint-disable-next-line max-params -- what, which, where, how
export function paneLines(state: TopState, pane: Pane, box: PaneBox, look: FrameLook): string[] {
  const barWidth = pane === "neurons" ? barWidthIn(box.width) : 0;
  const table = tableOf(state, pane, { ...look, barWidth });
  const isFocused = state.focus === pane && state.pages.length === 0;
  const name = pane === "events" ? "events" : `${pane} ${table.count}`;
  const title = ruleLine({ name, isFocused, notes: table.notes }, box.width, look);
  const hasHead = pane !== "events";
  const room = box.height - (hasHead ? 2 : 1);
  const columns = placeColumns(table.columns, box.width);
  const selected = isFocused ? selectedKey(state, pane) : null;
  const body = bodyLines({ table, columns, room, width: box.width, selected }, look);
  const lines = [title, ...(hasHead ? [headLine(columns, look)] : []), ...body].slice(0, box.height);
  return [...lines, ...Array.from({ length: box.height - lines.length }, () => "")];
}

function bodyLines(
  shown: {
    readonly table: PaneTable;
    readonly columns: ReturnType<typeof placeColumns>;
    readonly room: number;
    readonly width: number;
    readonly selected: string | null;
  },
  look: FrameLook,
): string[] {
  const { table, columns, room, selected } = shown;
  const { rows } = table;
  if (rows.length === 0) return [spanLine([{ text: `  ${table.empty}`, style: "dim" }], shown.width, look)];
  const first = firstShown(
    rows.map(({ key }) => key),
    { selected, room },
  );
  return rows
    .slice(first, first + room)
    .map(({ key, cells }, at, shown): Row => ({
      cells: cells(),
      isSelected: key === selected && shown[at - 1]?.key !== key,
    }))
    .map((row) => rowLine(row, columns, look));
}

/** The selected row stays in view, in the middle where there is more above and below. */
function firstShown(
  keys: readonly string[],
  { selected, room }: { readonly selected: string | null; readonly room: number },
): number {
  const at = selected === null ? 0 : keys.indexOf(selected);
  const most = Math.max(0, keys.length - room);
  return Math.max(0, Math.min(most, at - Math.floor(room / 2)));
}

type TableLook = FrameLook & { readonly barWidth: number };

// oxlint-disable-next-line max-params -- what, which, how
function tableOf(state: TopState, pane: Pane, look: TableLook): PaneTable {
  const sorted = `by ${orderName(pane, state.lists[pane])}`;
  const filter = state.filter === "" ? "" : `/${state.filter}`;
  switch (pane) {
    case "neurons":
      return neuronTable(state, look, [memoryLegend(look), sorted]);
    case "models":
      return modelTable(state, [filter, sorted]);
    case "requests":
      return requestTable(state, [filter, sorted]);
    case "events":
      return newsTable(state, [filter]);
    default:
      return assertNever(pane);
  }
}

// oxlint-disable-next-line max-params -- when, of what, and in words
function emptyText({ fleet, filter }: TopState, what: string, otherwise: string): string {
  if (fleet === null) return "nothing is known yet";
  return filter === "" ? otherwise : `no ${what} matches ${filter}`;
}

const NEURON_WORDS: Readonly<Record<NeuronRowState, { readonly words: string; readonly style: Paint }>> = {
  ready: { words: "ready", style: "green" },
  draining: { words: "draining", style: "yellow" },
  "missing polls": { words: "misses", style: "yellow" },
  unknown: { words: "unknown", style: "yellow" },
  down: { words: "down", style: "red" },
};

const USED_WIDTH = 13;
const neuronColumns = (barWidth: number): readonly Column[] => [
  { name: "NEURON", width: 10, grows: 1, most: 24 },
  { name: "STATE", width: 8 },
  { name: "DEV", width: 3, right: true, drop: 1 },
  { name: "DEVICE", width: 10, grows: 1, most: 20, drop: 5 },
  { name: "MEMORY", width: barWidth },
  { name: "USED", width: USED_WIDTH, right: true, drop: 1 },
  { name: "GPU", width: 5, right: true, drop: 2 },
  { name: "TEMP", width: 5, right: true, drop: 6 },
  { name: "BUSY", width: 4, right: true },
  { name: "TOK/S", width: 5, right: true, drop: 3 },
];

/** Bars take what is left beside the figures of a usual terminal. */
const barWidthIn = (width: number): number => Math.max(6, Math.min(40, Math.floor(width * 0.27), width - 52));

// oxlint-disable-next-line max-params -- of what, how, and what the title says
function neuronTable(state: TopState, look: TableLook, notes: readonly string[]): PaneTable {
  const neurons = listedNeurons(state);
  return {
    columns: neuronColumns(look.barWidth),
    count: neurons.length,
    rows: neurons.flatMap((row) => neuronLines(row, look)),
    notes,
    empty: emptyText(state, "neuron", "the fleet declares no neuron"),
  };
}

/** A line for each device; what is of the neuron as a whole stands in its first. */
function neuronLines(row: NeuronRow, look: TableLook): PaneTable["rows"] {
  const { words, style } = NEURON_WORDS[row.state];
  const busy = row.queued === 0 ? String(row.inFlight) : `${row.inFlight}+${row.queued}`;
  const head: readonly Span[] = [{ text: row.name }, { text: words, style }];
  const tail: readonly Span[] = [{ text: busy }, { text: rateText(row.tokensPerSec) }];
  const blank = { text: "" };
  // What is known of one that does not answer is old: better its reason than a figure that may be wrong.
  if (row.devices.length === 0 || row.state === "down" || row.state === "unknown") {
    const why: Span = { text: row.problem ?? "nothing is known of it", style: "dim" };
    return [{ key: row.name, cells: () => [...head, blank, blank, why, blank, blank, blank, ...tail] }];
  }
  return row.devices.map((device, at) => ({
    key: row.name,
    cells: () => [
      ...(at === 0 ? head : [{ text: "" }, { text: "" }]),
      { text: String(device.index), style: "dim" },
      { text: device.name, style: "dim" },
      memoryBar(device, look.barWidth, look),
      { text: memoryPair(device.totalMb - device.freeMb, device.totalMb) },
      { text: device.utilizationPct === null ? "-" : `${Math.round(device.utilizationPct)} %` },
      { text: device.tempC === null ? "-" : `${Math.round(device.tempC)} C` },
      ...(at === 0 ? tail : []),
    ],
  }));
}

export const MODEL_STYLES: Readonly<Record<ModelRowState, Paint>> = {
  serving: "green",
  loading: "yellow",
  leaving: "yellow",
  draining: "yellow",
  stuck: "red",
  missing: "red",
  failed: "red",
  unknown: "yellow",
  cold: "dim",
};

const MODEL_COLUMNS: readonly Column[] = [
  { name: "MODEL", width: 20, wish: 32, grows: 2, most: 48 },
  { name: "STATE", width: 8 },
  { name: "COPIES", width: 6, right: true, drop: 4 },
  { name: "SLOTS", width: 5, right: true, drop: 1 },
  { name: "QUEUE", width: 5, right: true, drop: 1 },
  { name: "TOK/S", width: 5, right: true, drop: 2 },
  { name: "MEMORY", width: 8, right: true, drop: 5 },
  { name: "LAST", width: 5, right: true, drop: 2 },
  { name: "ON", width: 10, grows: 1, most: 24, drop: 6 },
  { name: "WHY", width: 16, wish: 24, grows: 2, drop: 3 },
];

const modelTable = (state: TopState, notes: readonly string[]): PaneTable => {
  const rows = listedModels(state);
  return {
    columns: MODEL_COLUMNS,
    count: rows.length,
    rows: rows.map((row) => ({ key: row.id, cells: () => modelCells(row, state.nowMs) })),
    notes,
    empty: emptyText(state, "model", "no model is declared or loaded"),
  };
};

function modelCells(row: ModelRow, nowMs: number): readonly Span[] {
  const { state, loadProgress } = row;
  const loaded = row.copies.filter(({ model }) => model.status === "loaded").length;
  const isIdle = state === "cold";
  const plain = isIdle ? ("dim" as const) : undefined;
  return [
    { text: row.id, style: plain },
    {
      text: state === "loading" && loadProgress !== null ? `load ${Math.round(loadProgress * 100)}%` : state,
      style: MODEL_STYLES[state],
    },
    { text: `${loaded}/${row.declared ?? "-"}`, style: plain },
    { text: row.slots === 0 ? "-" : `${row.inFlight}/${row.slots}`, style: plain },
    { text: row.queued === 0 ? "-" : String(row.queued), style: row.queued === 0 ? plain : "yellow" },
    { text: row.tokensPerSec === null ? "-" : rateText(row.tokensPerSec), style: plain },
    {
      text: row.memoryMb === 0 ? "-" : memoryPair(row.memoryMb, row.memoryMb).replace(/^.*\//, ""),
      style: plain,
    },
    { text: agoText(row.lastUsedMs, nowMs).replace(" ago", ""), style: plain },
    { text: row.copies.map(({ neuron }) => neuron).join(", "), style: plain },
    { text: row.why, style: "dim" },
  ];
}

const REQUEST_COLUMNS: readonly Column[] = [
  { name: "AGE", width: 5, right: true, drop: 1 },
  { name: "MODEL", width: 18, wish: 24, grows: 2, most: 40 },
  { name: "NEURON", width: 8, grows: 1, most: 20, drop: 4 },
  { name: "KEY", width: 9, grows: 1, most: 16, drop: 6 },
  { name: "OUTCOME", width: 12, wish: 16, grows: 1, most: 30 },
  { name: "FIRST", width: 7, right: true, drop: 2 },
  { name: "TOOK", width: 7, right: true, drop: 1 },
  { name: "REQUEST", width: 10, grows: 1, most: 36, drop: 5 },
];

const requestTable = (state: TopState, notes: readonly string[]): PaneTable => {
  const rows = listedRequests(state);
  return {
    columns: REQUEST_COLUMNS,
    count: rows.length,
    rows: rows.map((row) => ({ key: row.request_id, cells: () => requestCells(row, state.nowMs) })),
    notes,
    empty: emptyText(state, "request", "no request since the gateway started"),
  };
};

export function requestCells(request: RequestSummary, nowMs: number): readonly Span[] {
  const { status, code, duration_ms: tookMs, first_token_ms: firstMs } = request;
  const outcome = status === null ? "open" : code === null ? String(status) : `${status} ${code}`;
  return [
    { text: shortDuration(nowMs - request.started_at_ms) },
    { text: request.model ?? "-" },
    { text: request.node ?? "-" },
    { text: request.key, style: "dim" },
    { text: outcome, style: outcomeStyle(status) },
    { text: firstMs === null ? "-" : latencyText(firstMs) },
    { text: tookMs === null ? "-" : latencyText(tookMs) },
    { text: request.request_id, style: "dim" },
  ];
}

function outcomeStyle(status: number | null): Paint | undefined {
  if (status === null) return "cyan";
  if (status >= 500) return "red";
  return status >= 400 ? "yellow" : "green";
}

export const NEWS_COLUMNS: readonly Column[] = [
  { name: "TIME", width: 8, drop: 1 },
  { name: "ABOUT", width: 14, grows: 1, most: 32 },
  { name: "WHAT", width: 20, grows: 3 },
];

const NEWS_STYLES: Readonly<Record<NewsItem["tone"], Paint | undefined>> = {
  plain: undefined,
  good: "green",
  warn: "yellow",
  bad: "red",
};

const newsTable = (state: TopState, notes: readonly string[]): PaneTable => {
  const rows = listedNews(state);
  return {
    columns: NEWS_COLUMNS,
    count: rows.length,
    rows: rows.map((item) => ({ key: newsKey(item), cells: () => newsCells(item) })),
    notes,
    empty: "nothing has happened since this screen was opened",
  };
};

export const newsCells = ({ atMs, about, text, tone }: NewsItem): readonly Span[] => [
  { text: clockText(atMs), style: "dim" },
  { text: about },
  { text, style: NEWS_STYLES[tone] },
];

/** "14:03:22", in UTC as all of cortex's times are. */
export const clockText = (ms: number): string => new Date(ms).toISOString().slice(11, 19);
