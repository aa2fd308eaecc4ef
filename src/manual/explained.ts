/** What the manual says of a code, beside what its own table says: its status and exit code, and the first thing to do. */
export interface Explained {
  /** What has happened, and why it does. */
  readonly why: string;
  /** What else to do, after the table's own next step; commands stand in backticks and are held to those that there are. */
  readonly steps: readonly string[];
}

// A row reads as a sentence and a list: named fields would be most of it.
export const explained = (why: string, ...steps: readonly string[]): Explained => ({ why, steps });
