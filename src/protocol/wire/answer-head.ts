import { MalformedAnswer } from "./malformed-answer.ts";

export type AnswerHeaders = Readonly<Record<string, string | string[]>>;

/** How long the body of an answer is (RFC 9112, 6.3). */
export type BodyLength =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "chunks" }
  /** Until the connection ends. */
  | { readonly kind: "open" };

export interface AnswerHead {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly length: BodyLength;
  /** Another request may follow on the connection, once the body is over. */
  readonly keepsConnection: boolean;
}

/** Control characters, and line ends that are only half of one. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?:^|[^\r])\n/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const LENGTH = /^\d{1,15}$/;
const EMPTY: BodyLength = { kind: "bytes", bytes: 0 };
const CHUNKS: BodyLength = { kind: "chunks" };
const OPEN: BodyLength = { kind: "open" };

/** Names as they come, and in small letters once they were found good: the same few come with each answer. */
const knownNames = new Map<string, string>();
const MOST_NAMES = 200;

/**
 * The head of an answer, without the empty line behind it. Strict where a second reading could find another border
 * between two answers: such a head throws `MalformedAnswer`, and the connection ends.
 */
export function readAnswerHead(text: string): AnswerHead {
  if (FORBIDDEN.test(text)) throw new MalformedAnswer("a head with characters that no head has");
  const firstEnd = text.indexOf("\r\n");
  const [, minor, code] = STATUS_LINE.exec(firstEnd < 0 ? text : text.slice(0, firstEnd)) ?? [];
  if (code === undefined) throw new MalformedAnswer("a first line that is not that of an answer of HTTP/1.1");
  const status = Number(code);
  const headers = firstEnd < 0 ? {} : readHeaderLines(text, firstEnd + 2);
  const isOld = minor === "0";
  const length = bodyLength(status, headers);
  if (isOld && length.kind === "chunks") throw new MalformedAnswer("chunks in an answer of HTTP/1.0");
  return {
    status,
    headers,
    length,
    keepsConnection: !isOld && length.kind !== "open" && !says(headers["connection"], "close"),
  };
}

/** What follows the last chunk, from the end of its line on and without the empty line at the end. */
export function readTrailers(text: string): AnswerHeaders {
  if (FORBIDDEN.test(text)) throw new MalformedAnswer("trailers with characters that no trailer has");
  return readHeaderLines(text, 2);
}

/** Lines of `name: value`, from `start` on. */
function readHeaderLines(text: string, start: number): AnswerHeaders {
  const headers: Record<string, string | string[]> = {};
  let at = start;
  while (at < text.length) {
    const next = text.indexOf("\r\n", at);
    const end = next < 0 ? text.length : next;
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon >= end) throw new MalformedAnswer("a line of a head without a colon");
    add(headers, smallName(text.slice(at, colon)), trimmed(text, colon + 1, end));
    at = end + 2;
  }
  return headers;
}

function add(headers: Record<string, string | string[]>, name: string, value: string): void {
  // Not what every object has, such as a constructor.
  const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (before === undefined) headers[name] = value;
  else if (typeof before === "string") headers[name] = [before, value];
  else before.push(value);
}

function smallName(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const small = name.toLowerCase();
  // The last is a setter of every object.
  if (!TOKEN.test(name) || small === "__proto__") throw new MalformedAnswer("a header whose name is none");
  if (knownNames.size < MOST_NAMES) knownNames.set(name, small);
  return small;
}

const isBlank = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
};

function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text, from)) from += 1;
  while (to > from && isBlank(text, to - 1)) to -= 1;
  return text.slice(from, to);
}

function bodyLength(status: number, headers: AnswerHeaders): BodyLength {
  const length = toldLength(headers);
  if (status >= 200 && status !== 204 && status !== 304) return length;
  // That of 304 is of another answer; the others must tell none (RFC 9110, 8.6), and what is sent with them would be
  // read as the next answer.
  const isEmpty = length.kind === "open" || (length.kind === "bytes" && length.bytes === 0);
  if (status !== 304 && !isEmpty) throw new MalformedAnswer("a body where none can be");
  return EMPTY;
}

function toldLength(headers: AnswerHeaders): BodyLength {
  const coding = headers["transfer-encoding"];
  const told = headers["content-length"];
  if (coding !== undefined) {
    if (told !== undefined) throw new MalformedAnswer("an answer with two lengths");
    if (typeof coding !== "string" || coding.toLowerCase() !== "chunked") {
      throw new MalformedAnswer("a transfer encoding other than chunks");
    }
    return CHUNKS;
  }
  if (told === undefined) return OPEN;
  if (typeof told !== "string" || !LENGTH.test(told)) throw new MalformedAnswer("a length that is no number");
  return { kind: "bytes", bytes: Number(told) };
}

const says = (header: string | string[] | undefined, word: string): boolean =>
  header !== undefined &&
  String(header)
    .toLowerCase()
    .split(",")
    .some((part) => part.trim() === word);
