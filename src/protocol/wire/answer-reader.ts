import { readAnswerHead, readTrailers, type AnswerHead, type AnswerHeaders } from "./answer-head.ts";
import { MalformedAnswer } from "./malformed-answer.ts";

/** What a reader tells, in the order in which it comes. */
export interface AnswerListener {
  head(status: number, headers: AnswerHeaders): void;
  /** What one read brought of the body; the listener's own from now on. */
  data(bytes: Buffer): void;
  /** `keepsConnection`: another request may be sent on it. */
  end(trailers: AnswerHeaders, keepsConnection: boolean): void;
}

type Stage =
  | "head"
  /** Of a body whose length was told. */
  | "length"
  /** Of a body that ends with the connection. */
  | "open"
  | "chunk-size"
  | "chunk-extension"
  | "chunk-size-end"
  | "chunk"
  | "chunk-return"
  | "chunk-end"
  | "trailers"
  | "over";

/** Largest head, and largest trailers. */
const MOST_HEAD_BYTES = 32 * 1024;
const MOST_EXTENSION_BYTES = 1024;
/** Of a chunk's size: 4 GiB. */
const MOST_DIGITS = 8;
const BLANK_LINE = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");
const NOTHING = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

const DIGITS = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit += 1) {
  const text = digit.toString(16);
  DIGITS[text.charCodeAt(0)] = digit;
  DIGITS[text.toUpperCase().charCodeAt(0)] = digit;
}

/**
 * Reads answers of HTTP/1.1 from a connection, one after the other, however their bytes are cut. What is read stays
 * the caller's and may be overwritten afterwards. Its law, which the property test holds it to: the same bytes tell the
 * same in whatever pieces they come, and what a strict reader would not take is not taken (`MalformedAnswer`).
 */
export class AnswerReader {
  readonly #listener: AnswerListener;
  #stage: Stage = "over";
  #head: AnswerHead | null = null;
  /** Bytes of the body or of the chunk that are to come; while its size is read, the size so far. */
  #left = 0;
  /** Digits of a size, or bytes of an extension. */
  #count = 0;
  /** Of a head or of trailers that are not whole. */
  #kept: Buffer = NOTHING;
  #text = "";
  /** Where the body is in what is being read: the first piece, from -1 where there is none, and those behind it. */
  #from = -1;
  #to = -1;
  #pieces: number[] | null = null;

  constructor(listener: AnswerListener) {
    this.#listener = listener;
  }

  /** An answer is expected: the one before is over. */
  expect(): void {
    this.#stage = "head";
    this.#head = null;
    this.#kept = NOTHING;
  }

  /** The first `length` of these bytes have come. Throws `MalformedAnswer`. */
  push(bytes: Buffer, length: number): void {
    if (this.#isOver) throw new MalformedAnswer("bytes that nobody asked for");
    let at = 0;
    try {
      while (at < length && !this.#isOver) at = this.#step(bytes, at, length);
    } finally {
      // Of a body with a flaw too, what stands before it: as it were, had it come in a piece of its own.
      this.#deliver(bytes);
    }
  }

  /** The connection has ended in good order; false: in the middle of an answer. */
  connectionEnded(): boolean {
    if (this.#stage !== "open") return false;
    this.#stage = "over";
    this.#listener.end({}, false);
    return true;
  }

  get #isOver(): boolean {
    return this.#stage === "over";
  }

  /** Where to go on. */
  #step(bytes: Buffer, at: number, length: number): number {
    switch (this.#stage) {
      case "head":
        return this.#readHead(bytes, at, length);
      case "length":
      case "chunk":
        return this.#readBody(bytes, at, length);
      case "open":
        this.#note(at, length);
        return length;
      case "chunk-size":
        return this.#readSize(bytes[at], at);
      case "chunk-extension":
        return this.#readExtension(bytes[at], at);
      case "chunk-size-end":
        return this.#beginChunk(bytes[at], at);
      case "chunk-return":
        return this.#require(bytes[at] === CR, "chunk-end", at);
      case "chunk-end":
        this.#left = 0;
        this.#count = 0;
        return this.#require(bytes[at] === LF, "chunk-size", at);
      case "trailers":
        return this.#readTrailers(bytes, at, length);
      case "over":
      default:
        return length;
    }
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const next = this.#untilBlankLine(bytes, at, length);
    if (next < 0) return length;
    const head = readAnswerHead(this.#text);
    if (head.status === 101) throw new MalformedAnswer("a change of protocol that nobody asked for");
    // An informational one: the answer itself follows.
    if (head.status < 200) return next;
    this.#head = head;
    this.#listener.head(head.status, head.headers);
    this.#beginBody(head);
    if (this.#stage === "length" && this.#left === 0) this.#finish({ bytes, keeps: next === length }, {});
    return next;
  }

  #beginBody({ length }: AnswerHead): void {
    this.#left = length.kind === "bytes" ? length.bytes : 0;
    this.#count = 0;
    if (length.kind === "bytes") this.#stage = "length";
    else this.#stage = length.kind === "chunks" ? "chunk-size" : "open";
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const end = Math.min(length, at + this.#left);
    this.#note(at, end);
    this.#left -= end - at;
    if (this.#left > 0) return end;
    if (this.#stage === "chunk") this.#stage = "chunk-return";
    else this.#finish({ bytes, keeps: end === length }, {});
    return end;
  }

  #readSize(byte: number | undefined, at: number): number {
    const digit = DIGITS[byte ?? 0] ?? -1;
    if (digit >= 0) {
      this.#count += 1;
      if (this.#count > MOST_DIGITS) throw new MalformedAnswer("a chunk that is too large");
      this.#left = this.#left * 16 + digit;
      return at + 1;
    }
    if (this.#count === 0) throw new MalformedAnswer("a chunk without a size");
    this.#count = 0;
    if (byte === CR) this.#stage = "chunk-size-end";
    else if (byte === SEMICOLON) this.#stage = "chunk-extension";
    else throw new MalformedAnswer("a chunk whose size is no number");
    return at + 1;
  }

  #readExtension(byte: number | undefined, at: number): number {
    this.#count += 1;
    if (byte === CR) this.#stage = "chunk-size-end";
    else if (byte === undefined || !isText(byte) || this.#count > MOST_EXTENSION_BYTES)
      throw new MalformedAnswer("an extension of a chunk without an end");
    return at + 1;
  }

  #beginChunk(byte: number | undefined, at: number): number {
    if (this.#left > 0) return this.#require(byte === LF, "chunk", at);
    // The trailers, if any, follow the end of this line: so their end is an empty line in either case.
    this.#kept = LINE_END;
    return this.#require(byte === LF, "trailers", at);
  }

  #require(isThere: boolean, stage: Stage, at: number): number {
    if (!isThere) throw new MalformedAnswer("a chunk that does not end where it should");
    this.#stage = stage;
    return at + 1;
  }

  #readTrailers(bytes: Buffer, at: number, length: number): number {
    const next = this.#untilBlankLine(bytes, at, length);
    if (next < 0) return length;
    const trailers = this.#text === "" ? {} : readTrailers(this.#text);
    this.#finish({ bytes, keeps: next === length }, trailers);
    return next;
  }

  /** Leaves what stands before the next empty line in `#text`; -1: it has not come. */
  #untilBlankLine(bytes: Buffer, at: number, length: number): number {
    const before = this.#kept.length;
    const all = before === 0 ? bytes : Buffer.concat([this.#kept, bytes.subarray(at, length)]);
    const start = before === 0 ? at : 0;
    const known = before === 0 ? length : all.length;
    const end = all.indexOf(BLANK_LINE, start);
    const isWhole = end >= 0 && end + BLANK_LINE.length <= known;
    // Of what is not whole the last bytes may be the empty line's.
    const least = (isWhole ? end : known - (BLANK_LINE.length - 1)) - start;
    if (least > MOST_HEAD_BYTES) throw new MalformedAnswer("a head that is too long");
    if (isWhole) {
      this.#text = all.toString("latin1", start, end);
      this.#kept = NOTHING;
      return before === 0 ? end + BLANK_LINE.length : at + end + BLANK_LINE.length - before;
    }
    this.#kept = before === 0 ? Buffer.from(bytes.subarray(at, length)) : all;
    return -1;
  }

  #finish(
    { bytes, keeps }: { readonly bytes: Buffer; readonly keeps: boolean },
    trailers: AnswerHeaders,
  ): void {
    this.#deliver(bytes);
    this.#stage = "over";
    this.#listener.end(trailers, keeps && this.#head?.keepsConnection === true);
  }

  #note(from: number, to: number): void {
    if (this.#from < 0) {
      this.#from = from;
      this.#to = to;
    } else if (this.#pieces === null) this.#pieces = [this.#from, this.#to, from, to];
    else this.#pieces.push(from, to);
  }

  /** What one read has brought, in one piece. */
  #deliver(bytes: Buffer): void {
    const from = this.#from;
    if (from < 0) return;
    const pieces = this.#pieces;
    this.#from = -1;
    this.#pieces = null;
    this.#listener.data(pieces === null ? copied(bytes, from, this.#to) : joined(bytes, pieces));
  }
}

/** What may stand in a value: no control character but the tab. */
const isText = (byte: number): boolean => byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);

function copied(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafe(to - from);
  bytes.copy(copy, 0, from, to);
  return copy;
}

function joined(bytes: Buffer, pieces: readonly number[]): Buffer {
  let length = 0;
  for (let at = 0; at < pieces.length; at += 2) length += (pieces[at + 1] ?? 0) - (pieces[at] ?? 0);
  const whole = Buffer.allocUnsafe(length);
  let to = 0;
  for (let at = 0; at < pieces.length; at += 2) to += bytes.copy(whole, to, pieces[at], pieces[at + 1]);
  return whole;
}
