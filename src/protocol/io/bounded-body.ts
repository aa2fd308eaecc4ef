export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

/** The text of a body, given up with `BodyTooLarge` once it is longer than `limitMib`. */
export async function readBoundedText(body: AsyncIterable<Buffer>, limitMib: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limitMib * 1024 * 1024) throw new BodyTooLarge(`the answer is longer than ${limitMib} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
