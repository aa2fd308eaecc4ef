import { footerLine } from "./footer-line.ts";
import { glyphs, paintSpan, spanLine, type FrameLook } from "./frame-look.ts";
import { widthOf } from "../print/fit-table.ts";
import { headerLines } from "./header-lines.ts";
import { pageLines } from "./page-lines.ts";
import { paneLines, wantedHeight, type PaneBox } from "./pane-lines.ts";
import type { Pane, TopState } from "./top-state.ts";

export interface TopFrame {
  /** As many as the terminal has rows, none wider than it. */
  readonly lines: readonly string[];
  /** How far down the page on top is: no further than it goes. */
  readonly scroll: number;
}

/** Narrower than this the panes stand one above the other. */
const TWO_COLUMNS = 150;
const LEAST_COLUMNS = 40;
const LEAST_ROWS = 10;

/** What the screen shows: a function of the state and the size, and of nothing else. */
export function topFrame(state: TopState, look: FrameLook): TopFrame {
  if (look.columns < LEAST_COLUMNS || look.rows < LEAST_ROWS) return tooSmall(look);
  const header = headerLines(state, look);
  const height = look.rows - header.length - 1;
  const { lines, scroll } = bodyOf(state, height, look);
  return { lines: [...header, ...lines, footerLine(state, look)], scroll };
}

function tooSmall(look: FrameLook): TopFrame {
  const text = `cortex top needs ${LEAST_COLUMNS}x${LEAST_ROWS}`;
  const lines = [spanLine([{ text }], look.columns, look)];
  return { lines: [...lines, ...Array.from({ length: look.rows - 1 }, () => "")], scroll: 0 };
}

// oxlint-disable-next-line max-params -- of what, in how many lines, how
function bodyOf(state: TopState, height: number, look: FrameLook): TopFrame {
  const page = state.pages.at(-1);
  if (page === undefined) return { lines: panesOf(state, height, look), scroll: 0 };
  const [title = "", ...all] = pageLines(state, page, look);
  const room = height - 1;
  const scroll = Math.min(state.scroll, Math.max(0, all.length - room));
  const shown = all.slice(scroll, scroll + room);
  const blank = Array.from({ length: room - shown.length }, () => "");
  return { lines: [title, ...shown, ...blank], scroll };
}

// oxlint-disable-next-line max-params -- of what, in how many lines, how
function panesOf(state: TopState, height: number, look: FrameLook): string[] {
  if (state.isZoomed) return paneLines(state, state.focus, { width: look.columns, height }, look);
  if (look.columns < TWO_COLUMNS) return stacked(state, { width: look.columns, height }, look);
  return sideBySide(state, height, look);
}

/** Neurons, models, and the events; the requests in the place of the events when they are looked at. */
// oxlint-disable-next-line max-params -- of what, where, how
function stacked(state: TopState, { width, height }: PaneBox, look: FrameLook): string[] {
  const last: Pane = state.focus === "requests" ? "requests" : "events";
  const lastLeast = state.focus === last ? Math.floor(height / 3) : Math.max(3, Math.floor(height / 5));
  const neurons = Math.min(wantedHeight(state, "neurons"), Math.max(4, Math.floor(height * 0.35)));
  const models = Math.min(wantedHeight(state, "models"), height - neurons - lastLeast);
  const heights: readonly (readonly [Pane, number])[] = [
    ["neurons", neurons],
    ["models", models],
    [last, height - neurons - models],
  ];
  return heights.flatMap(([pane, lines]) => paneLines(state, pane, { width, height: lines }, look));
}

// oxlint-disable-next-line max-params -- of what, in how many lines, how
function sideBySide(state: TopState, height: number, look: FrameLook): string[] {
  const left = Math.floor((look.columns - 3) * 0.44);
  const right = look.columns - 3 - left;
  const [upperLeft, upperRight] = [
    upperHeight(state, "neurons", height),
    upperHeight(state, "models", height),
  ];
  const wall = ` ${paintSpan({ text: glyphs(look).wall, style: "dim" }, look)} `;
  const leftLines = [
    ...paneLines(state, "neurons", { width: left, height: upperLeft }, look),
    ...paneLines(state, "requests", { width: left, height: height - upperLeft }, look),
  ];
  const rightLines = [
    ...paneLines(state, "models", { width: right, height: upperRight }, look),
    ...paneLines(state, "events", { width: right, height: height - upperRight }, look),
  ];
  return leftLines.map((line, at) => padded(line, left) + wall + (rightLines[at] ?? ""));
}

/** What it wants, as long as the pane below keeps a third. */
// oxlint-disable-next-line max-params -- of what, which, of how many lines
const upperHeight = (state: TopState, pane: Pane, height: number): number =>
  Math.max(Math.floor(height / 3), Math.min(wantedHeight(state, pane) + 1, Math.floor((height * 2) / 3)));

/* oxlint-disable no-control-regex -- styles of a terminal are made of control characters */
const STYLE = /\u001B\[[0-9;]*m/g;

const padded = (line: string, width: number): string =>
  line + " ".repeat(Math.max(0, width - widthOf(line.replaceAll(STYLE, ""))));
