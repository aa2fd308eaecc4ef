/** A fleet file as read: the path that people are shown, and its text. */
export interface FleetFile {
  readonly path: string;
  readonly text: string;
}

/** A line of a text, counted from 1, without its end. */
export const lineOf = (text: string, line: number): string =>
  (text.split("\n")[line - 1] ?? "").replace(/\r$/, "");
