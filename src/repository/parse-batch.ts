const LINE_FEED = 0x0a;

interface BatchEntry {
  /** What git calls it: its object, or the name that was asked for where there is none. */
  readonly object: string;
  /** Undefined where the repository has no such object. */
  readonly text: string | undefined;
}

/**
 * What `git cat-file --batch` answers, in the order of the questions: "<object> blob <bytes>", a line feed, the bytes, a
 * line feed. One that is missing has no bytes, and what was cut off is left out.
 */
export function parseBatchEntries(answer: Buffer): BatchEntry[] {
  const entries: BatchEntry[] = [];
  let at = 0;
  while (at < answer.length) {
    const end = answer.indexOf(LINE_FEED, at);
    if (end === -1) break;
    const [object = "", kind, size] = answer.toString("utf8", at, end).split(" ");
    at = end + 1;
    if (kind === "missing" || size === undefined) {
      entries.push({ object, text: undefined });
      continue;
    }
    const bytes = Number(size);
    if (at + bytes > answer.length) break;
    entries.push({ object, text: answer.toString("utf8", at, at + bytes) });
    at += bytes + 1;
  }
  return entries;
}

/** The objects that are there, by name. */
export const parseBatch = (answer: Buffer): Map<string, string> =>
  new Map(
    parseBatchEntries(answer).flatMap(({ object, text }) =>
      text === undefined ? [] : [[object, text] as const],
    ),
  );
