import type { Span } from "./body-scan.ts";

/**
 * Puts another value into a request body without touching any other byte: numbers keep their digits, strings their
 * escapes, objects their order and white space, so that what the client sent is what the model is asked. `spans` are
 * those of the values that are replaced, in order.
 */
export const replaceValues = (body: Buffer, spans: readonly Span[], value: unknown): Buffer =>
  replaceBytes(body, spans, Buffer.from(JSON.stringify(value)));

/** The same where values stand in the body as they are, as in a form. */
export function replaceBytes(body: Buffer, spans: readonly Span[], replacement: Buffer): Buffer {
  const parts: Buffer[] = [];
  let copiedTo = 0;
  for (const { start, end } of spans) {
    parts.push(body.subarray(copiedTo, start), replacement);
    copiedTo = end;
  }
  parts.push(body.subarray(copiedTo));
  return Buffer.concat(parts);
}
