const LINE_FEED = 0x0a;

/**
 * The objects of `git cat-file --batch`, by name: "<object> blob <bytes>", a line feed, the bytes, a line feed. One that is
 * missing has no bytes, and what was cut off is left out.
 */
export function parseBatch(answer: Buffer): Map<string, string> {
  const texts = new Map<string, string>();
  let at = 0;
  while (at < answer.length) {
    const end = answer.indexOf(LINE_FEED, at);
    if (end === -1) break;
    const [object = "", kind, size] = answer.toString("utf8", at, end).split(" ");
    at = end + 1;
    if (kind === "missing" || size === undefined) continue;
    const bytes = Number(size);
    if (at + bytes > answer.length) break;
    texts.set(object, answer.toString("utf8", at, at + bytes));
    at += bytes + 1;
  }
  return texts;
}
