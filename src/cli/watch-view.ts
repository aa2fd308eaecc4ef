import type { Clock } from "../core/clock.ts";
import { toCortexError, type CortexError } from "../core/errors.ts";
import { sleptThrough } from "../core/interruptible-sleep.ts";
import { errorToJson } from "./print/print-error.ts";
import { wrapText } from "./print/wrap-text.ts";
import type { Look, View } from "./view/view.ts";

/** Where a watched view goes: a terminal that is redrawn in place, or lines. */
export interface WatchedOutput {
  readonly write: (text: string) => void;
  /** Size of the terminal; undefined where what moves must not be shown. */
  readonly size: () => { readonly columns: number; readonly rows: number } | undefined;
}

export interface WatchOptions {
  readonly everyMs: number;
  readonly json: boolean;
  readonly look: Look;
  readonly output: WatchedOutput;
  readonly clock: Clock;
  /** Aborts when the user has seen enough. */
  readonly signal: AbortSignal;
  /** Begins to say when something has changed, so that it is read before its time; it ends with the signal. */
  readonly news?: ((onNews: () => void, signal: AbortSignal) => void) | undefined;
}

/**
 * Shows a view again and again: in a terminal in place, elsewhere only when it has changed, with `--json` one object a
 * line. The first reading throws; later ones may fail, which is said, and are tried again.
 */
export async function watchView(read: () => Promise<View<unknown>>, options: WatchOptions): Promise<void> {
  const { clock, everyMs, signal, json, output } = options;
  let last = await read();
  if (signal.aborted) return;
  const printer = json
    ? new JsonLines(options)
    : output.size() === undefined
      ? new ChangedText(options)
      : new RedrawnScreen(options);
  const bell = new Bell();
  options.news?.(bell.ring, signal);
  printer.begin();
  try {
    printer.show(last, undefined);
    while (await bell.heardWithin(everyMs, { clock, signal })) {
      try {
        last = await read();
        if (!signal.aborted) printer.show(last, undefined);
      } catch (thrown) {
        if (!signal.aborted) printer.show(last, toCortexError(thrown));
      }
    }
  } finally {
    printer.end(last);
  }
}

/** Wakes whoever waits, and whoever waits next when nobody does. */
class Bell {
  #hasRung = false;
  #wake: (() => void) | null = null;

  readonly ring = (): void => {
    this.#hasRung = true;
    this.#wake?.();
  };

  /** Until it rings, or for that long; false when the user has seen enough. */
  async heardWithin(
    ms: number,
    { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const rung = new AbortController();
    this.#wake = () => {
      rung.abort();
    };
    if (this.#hasRung) rung.abort();
    await sleptThrough(clock, ms, AbortSignal.any([signal, rung.signal]));
    this.#wake = null;
    this.#hasRung = false;
    return !signal.aborted;
  }
}

interface Printer {
  begin(): void;
  show(view: View<unknown>, failure: CortexError | undefined): void;
  /** What stays behind. */
  end(last: View<unknown>): void;
}

class JsonLines implements Printer {
  readonly #options: WatchOptions;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  begin(): void {}

  show(view: View<unknown>, failure: CortexError | undefined): void {
    const line = failure === undefined ? view.json : errorToJson(failure);
    this.#options.output.write(`${JSON.stringify(line)}\n`);
  }

  end(): void {}
}

/** For pipes and files: a block of text whenever there is something new. */
class ChangedText implements Printer {
  readonly #options: WatchOptions;
  #shown: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  begin(): void {}

  show(view: View<unknown>, failure: CortexError | undefined): void {
    const { look, output, clock } = this.#options;
    const text = failure === undefined ? view.human(look) : failureText(failure);
    if (text === this.#shown) return;
    this.#shown = text;
    output.write(`${new Date(clock.nowMs()).toISOString().slice(0, 19)}Z\n${text}\n\n`);
  }

  end(): void {}
}

const failureText = ({ code, message }: CortexError): string => `${code}: ${message}; trying again`;

const ENTER = "\u001B[?1049h\u001B[?25l";
const LEAVE = "\u001B[?25h\u001B[?1049l";
/** Terminals that know it draw what is between at once; others ignore it. */
const [BEGIN_FRAME, END_FRAME] = ["\u001B[?2026h", "\u001B[?2026l"];
const CLEAR_LINE = "\u001B[K";
const CLEAR_BELOW = "\u001B[J";
const HOME = "\u001B[H";

/** Drawn over itself line by line on the terminal's other screen, so that nothing flickers and nothing is left behind. */
class RedrawnScreen implements Printer {
  readonly #options: WatchOptions;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#options.output.write(ENTER);
  }

  show(view: View<unknown>, failure: CortexError | undefined): void {
    const { output, clock, everyMs } = this.#options;
    const { columns, rows } = output.size() ?? { columns: 80, rows: 24 };
    const time = new Date(clock.nowMs()).toISOString().slice(11, 19);
    const what = failure === undefined ? `every ${everyMs / 1000} s` : failureText(failure);
    const status = `${time}Z  ${what}  Ctrl-C ends`;
    const room = Math.max(1, rows - 1);
    const all = this.#text(view, columns).split("\n");
    const hidden = all.length - room;
    const body = hidden > 0 ? [...all.slice(0, room - 1), `and ${hidden + 1} more lines`] : all;
    const lines = [...body, ...Array.from({ length: Math.max(0, room - body.length) }, () => "")];
    const frame = [...lines, status.slice(0, columns - 1)].join(`${CLEAR_LINE}\r\n`);
    output.write(`${BEGIN_FRAME}${HOME}${frame}${CLEAR_LINE}${CLEAR_BELOW}${END_FRAME}`);
  }

  end(last: View<unknown>): void {
    const { output } = this.#options;
    const { columns } = output.size() ?? { columns: 80 };
    output.write(`${LEAVE}${this.#text(last, columns)}\n`);
  }

  #text(view: View<unknown>, columns: number): string {
    const text = view.human({ ...this.#options.look, columns });
    return view.wraps ? wrapText(text, columns) : text;
  }
}
