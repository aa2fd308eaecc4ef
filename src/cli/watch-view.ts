import type { Clock } from "../core/clock.ts";
import { toCortexError, type CortexError } from "../core/errors.ts";
import { sleptThrough } from "../core/interruptible-sleep.ts";
import { cutText } from "./print/fit-table.ts";
import { errorToJson } from "./print/print-error.ts";
import { wrapText } from "./print/wrap-text.ts";
import { LineScreen, type TerminalSize } from "./screen/line-screen.ts";
import type { Look, View } from "./view/view.ts";

/** Where a watched view goes: a terminal that is redrawn in place, or lines. */
export interface WatchedOutput {
  readonly write: (text: string) => void;
  /** Size of the terminal; undefined where what moves must not be shown. */
  readonly size: () => TerminalSize | undefined;
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

/** Drawn over itself on a screen of its own. */
class RedrawnScreen implements Printer {
  readonly #options: WatchOptions;
  readonly #screen: LineScreen;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#screen = new LineScreen({ write: options.output.write, size: () => this.#size() });
  }

  begin(): void {
    this.#screen.open();
  }

  show(view: View<unknown>, failure: CortexError | undefined): void {
    const { clock, everyMs, look } = this.#options;
    const { columns, rows } = this.#size();
    const time = new Date(clock.nowMs()).toISOString().slice(11, 19);
    const what = failure === undefined ? `every ${everyMs / 1000} s` : failureText(failure);
    const room = Math.max(1, rows - 1);
    const all = this.#text(view).split("\n");
    const hidden = all.length - room;
    const body = hidden > 0 ? [...all.slice(0, room - 1), `and ${hidden + 1} more lines`] : all;
    const blank = Array.from({ length: Math.max(0, room - body.length) }, () => "");
    this.#screen.draw([
      ...body,
      ...blank,
      cutText(`${time}Z  Ctrl-C ends  ${what}`, columns, look.unicode ?? true),
    ]);
  }

  end(last: View<unknown>): void {
    this.#screen.close();
    this.#options.output.write(`${this.#text(last)}\n`);
  }

  #size(): TerminalSize {
    return this.#options.output.size() ?? { columns: 80, rows: 24 };
  }

  #text(view: View<unknown>): string {
    const { columns } = this.#size();
    const text = view.human({ ...this.#options.look, columns });
    return view.wraps ? wrapText(text, columns) : text;
  }
}
