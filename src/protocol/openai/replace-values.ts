import type { Span } from "./body-scan.ts";

/**
 * Puts another value into a request body without touching any other byte: numbers keep their digits, strings their
 * escapes, objects their order and white space, so that what the client sent is what the model is asked. `spans` are
 * those of the values that are replaced, in order.
 */
export function replaceValues(body: Buffer, spans: readonly Span[], value: unknown): Buffer {
  const replacement = Buffer.from(JSON.stringify(value));
  const parts: Buffer[] = [];
  let copiedTo = 0;
  for (const { start, end } of spans) {
    parts.push(body.subarray(copiedTo, start), replacement);
    copiedTo = end;
  }
  parts.push(body.subarray(copiedTo));
  return Buffer.concat(parts);
}
