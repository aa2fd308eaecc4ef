import { Box, render, Static, Text, type Instance } from "ink";
import { createElement, Fragment, type ReactElement } from "react";
import type { ApplyEvent } from "../../protocol/apply-events.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { beginBoard, noteOnBoard, type ApplyBoard } from "./apply-board.ts";
import { boardRows, type ScreenRow } from "./apply-screen-rows.ts";

export interface ApplyScreenOptions {
  readonly colour: boolean;
  readonly unicode: boolean;
  readonly stdout: NodeJS.WriteStream;
}

/** Time passes on the screen also while nothing is told. */
const TICK_MS = 500;

/**
 * A live view of an apply: what is over scrolls up as ordinary lines, below it a lane for each neuron at work. Ink never
 * reads the keyboard, so that Ctrl-C stays a signal.
 */
export class ApplyScreen {
  readonly #options: ApplyScreenOptions;
  readonly #neuronOf: ReadonlyMap<string, string>;
  readonly #instance: Instance;
  readonly #ticks: NodeJS.Timeout;
  readonly #over: string[] = [];
  #board: ApplyBoard;
  #notice: string | undefined;
  #isClosed = false;

  constructor(plan: PlanDocument, options: ApplyScreenOptions) {
    this.#options = options;
    this.#neuronOf = new Map(plan.changes.map(({ id, neuron }) => [id, neuron]));
    this.#board = beginBoard(plan, performance.now());
    const { stdout } = options;
    this.#instance = render(this.#element(), {
      stdout,
      exitOnCtrlC: false,
      patchConsole: false,
      interactive: true,
    });
    this.#ticks = setInterval(() => {
      this.#draw();
    }, TICK_MS);
  }

  /** `line` is what scrolls up, for events that end something. */
  note(event: ApplyEvent, line: string | undefined): void {
    this.#board = noteOnBoard(this.#board, event, { nowMs: performance.now(), neuronOf: this.#neuronOf });
    if (line !== undefined) this.#over.push(line);
    this.#draw();
  }

  /** Stands below the lanes from now on. */
  say(notice: string): void {
    this.#notice = notice;
    this.#draw();
  }

  /** Takes the lanes away; what has scrolled up stays. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#ticks);
    this.#instance.rerender(screenElement([...this.#over], [], this.#options.colour));
    await this.#instance.waitUntilRenderFlush();
    this.#instance.unmount();
    await this.#instance.waitUntilExit();
  }

  #draw(): void {
    if (!this.#isClosed) this.#instance.rerender(this.#element());
  }

  #element(): ReactElement {
    const { stdout, unicode, colour } = this.#options;
    const size = { columns: stdout.columns, rows: stdout.rows };
    const rows = boardRows(this.#board, this.#notice, { ...size, unicode, nowMs: performance.now() });
    return screenElement([...this.#over], rows, colour);
  }
}

/** Exported for tests, which render it to a string. */
export function screenElement(
  over: readonly string[],
  rows: readonly ScreenRow[],
  colour: boolean,
): ReactElement {
  const lines = createElement(Static<string>, {
    items: [...over],
    children: (line, index) => createElement(Text, { key: index }, line),
  });
  const lanes = rows.map((row, index) =>
    createElement(Text, { key: index, wrap: "truncate-end", ...styleOf(row, colour) }, row.text),
  );
  return createElement(Fragment, {}, lines, createElement(Box, { flexDirection: "column" }, ...lanes));
}

function styleOf(
  { tone }: ScreenRow,
  colour: boolean,
): { readonly dimColor?: boolean; readonly color?: string } {
  if (!colour || tone === "plain") return {};
  return tone === "dim" ? { dimColor: true } : { color: tone };
}
