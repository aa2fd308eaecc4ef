/** Bytes of the body; `end` is the position after the last. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Puts another model id into a request body without touching any other byte: numbers keep their digits, strings
 * their escapes, objects their order and white space, so that what the client sent is what the model is asked.
 * `spans` are the values of the top-level `model`, in order.
 */
export function replaceModel(body: Buffer, spans: readonly Span[], modelId: string): Buffer {
  const replacement = Buffer.from(JSON.stringify(modelId));
  const parts: Buffer[] = [];
  let copiedTo = 0;
  for (const { start, end } of spans) {
    parts.push(body.subarray(copiedTo, start), replacement);
    copiedTo = end;
  }
  parts.push(body.subarray(copiedTo));
  return Buffer.concat(parts);
}
