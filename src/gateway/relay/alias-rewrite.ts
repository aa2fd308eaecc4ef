import { CortexError } from "../../core/errors.ts";

/**
 * Puts another model id into a request body without touching any other byte: numbers keep their digits, strings
 * their escapes, objects their order and white space, so that what the client sent is what the model is asked.
 *
 * It walks the bytes of the top-level object once. UTF-8 makes that safe: no byte of a multi-byte character equals
 * a quote, a brace or a backslash. The body has been parsed before, so it is known to be JSON; nested keys of the
 * same name are skipped with the values that hold them. A key may be spelt with escapes, and a body may hold the
 * key twice; parsers disagree about which one counts, so every top-level one is replaced.
 */
export function rewriteTopLevelModel(body: Buffer, modelId: string): Buffer {
  const replacement = Buffer.from(JSON.stringify(modelId));
  const parts: Buffer[] = [];
  let copiedTo = 0;
  for (const span of topLevelValues(body, "model")) {
    parts.push(body.subarray(copiedTo, span.start), replacement);
    copiedTo = span.end;
  }
  if (copiedTo === 0) return body;
  parts.push(body.subarray(copiedTo));
  return Buffer.concat(parts);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const WHITE_SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

function topLevelValues(body: Buffer, key: string): Span[] {
  const spans: Span[] = [];
  let at = skipWhiteSpace(body, 0);
  at = skipWhiteSpace(body, expectByte(body, at, OPENING_BRACE));
  if (body[at] === CLOSING_BRACE) return spans;
  for (;;) {
    const keyStart = at;
    const keyEnd = endOfString(body, keyStart);
    at = expectByte(body, skipWhiteSpace(body, keyEnd), COLON);
    const start = skipWhiteSpace(body, at);
    const end = endOfValue(body, start);
    if (keyEquals(body.subarray(keyStart, keyEnd), key)) spans.push({ start, end });
    at = skipWhiteSpace(body, end);
    if (body[at] !== COMMA) return spans;
    at = skipWhiteSpace(body, at + 1);
  }
}

function keyEquals(quoted: Buffer, key: string): boolean {
  if (!quoted.includes(BACKSLASH)) return quoted.length === key.length + 2 && quoted.includes(key, 1, "utf8");
  return JSON.parse(quoted.toString("utf8")) === key;
}

function skipWhiteSpace(body: Buffer, from: number): number {
  let at = from;
  while (WHITE_SPACE.has(body[at] ?? 0)) at += 1;
  return at;
}

function expectByte(body: Buffer, at: number, byte: number): number {
  if (body[at] !== byte) throw notJson(at);
  return at + 1;
}

/** The position after the closing quote of the string that opens at `start`. */
function endOfString(body: Buffer, start: number): number {
  expectByte(body, start, QUOTE);
  let quote = start;
  for (;;) {
    quote = body.indexOf(QUOTE, quote + 1);
    if (quote === -1) throw notJson(start);
    let backslashes = 0;
    while (body[quote - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

function endOfValue(body: Buffer, start: number): number {
  const first = body[start] ?? 0;
  if (first === QUOTE) return endOfString(body, start);
  if (OPENING.has(first)) return endOfContainer(body, start);
  let at = start;
  while (at < body.length && !endsScalar(body[at] ?? 0)) at += 1;
  if (at === start) throw notJson(start);
  return at;
}

const endsScalar = (byte: number): boolean => byte === COMMA || CLOSING.has(byte) || WHITE_SPACE.has(byte);

function endOfContainer(body: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < body.length) {
    const byte = body[at] ?? 0;
    if (byte === QUOTE) {
      at = endOfString(body, at);
      continue;
    }
    if (OPENING.has(byte)) depth += 1;
    if (CLOSING.has(byte)) depth -= 1;
    at += 1;
    if (depth === 0) return at;
  }
  throw notJson(start);
}

const notJson = (at: number): CortexError =>
  new CortexError("malformed_json", `the request body is not JSON: unexpected byte at ${at}`);
