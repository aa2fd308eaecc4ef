import { present } from "../../core/present.ts";

/** A fleet file as read: the path that people are shown, and its text. */
export interface FleetFile {
  readonly path: string;
  readonly text: string;
}

/** Where a character of a text stands. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
  readonly sourceLine: string;
}

/** The lines of a text, counted from 1, without their ends. Made once: a broken file may have thousands of findings. */
export class SourceLines {
  readonly #text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.#text = text;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  line(number: number): string {
    const start = this.#starts[number - 1];
    if (start === undefined) return "";
    return this.#text.slice(start, this.#starts[number]).replace(/\r?\n?$/, "");
  }

  position(offset: number): TextPosition {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#startOf(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#startOf(low) + 1, sourceLine: this.line(low + 1) };
  }

  #startOf(index: number): number {
    return present(this.#starts[index], "the start of line", index + 1);
  }
}

/** A file together with its lines. */
export interface SourceText {
  readonly file: FleetFile;
  readonly lines: SourceLines;
}
