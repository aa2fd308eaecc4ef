/** What a screen of lines needs of a terminal. */
export interface Terminal {
  readonly write: (text: string) => void;
  readonly size: () => TerminalSize;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The other screen, no cursor, and lines that are cut at the edge instead of wrapped. */
const ENTER = "\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J";
const LEAVE = "\u001B[?7h\u001B[?25h\u001B[?1049l";
/** Terminals that know it draw what is between at once; others ignore it. */
const BEGIN_FRAME = "\u001B[?2026h";
const END_FRAME = "\u001B[?2026l";
const CLEAR_SCREEN = "\u001B[2J";
const CLEAR_LINE = "\u001B[K";

const at = (row: number): string => `\u001B[${row + 1};1H`;

/* oxlint-disable no-control-regex -- styles of a terminal are made of control characters */
const STYLE = /\u001B\[[0-9;]*m/g;

/** After a line that fills the terminal the cursor stands on its last character, which would be cleared. */
const remainder = (line: string, { columns }: TerminalSize): string =>
  Array.from(line.replaceAll(STYLE, "")).length < columns ? CLEAR_LINE : "";

/**
 * A screen of its own that is drawn line by line: only what is different is written, so that nothing flickers and a slow
 * line to the terminal has little to carry. What the terminal showed before is there again when it is closed.
 */
export class LineScreen {
  readonly #terminal: Terminal;
  #shown: readonly string[] = [];
  #size: TerminalSize = { columns: 0, rows: 0 };
  #isOpen = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  open(): void {
    this.#isOpen = true;
    this.#size = this.#terminal.size();
    this.#terminal.write(ENTER);
  }

  /** Lines from the top, each no wider than the terminal; what is below them is empty. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const size = this.#terminal.size();
    const isResized = size.columns !== this.#size.columns || size.rows !== this.#size.rows;
    const before = isResized ? [] : this.#shown;
    const shown = lines.slice(0, size.rows);
    const rows = Math.max(shown.length, before.length);
    let text = isResized ? CLEAR_SCREEN : "";
    for (let row = 0; row < rows; row += 1) {
      const line = shown[row] ?? "";
      if (line !== (before[row] ?? "")) text += `${at(row)}${line}${remainder(line, size)}`;
    }
    this.#size = size;
    this.#shown = shown;
    if (text !== "") this.#terminal.write(`${BEGIN_FRAME}${text}${END_FRAME}`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#shown = [];
    this.#terminal.write(LEAVE);
  }
}
