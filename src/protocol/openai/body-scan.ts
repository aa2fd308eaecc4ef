import { CortexError } from "../../core/errors.ts";

/** Bytes of the body; `end` is the position after the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What is at the top level of a body, as far as has to be known on the way. */
export interface TopLevelFields {
  /** The body is a JSON object; the rest is empty otherwise. */
  readonly isObject: boolean;
  /** Brackets within brackets, at most. */
  readonly depth: number;
  /** Every value of `model`, in order: parsers disagree about which of them counts. */
  readonly models: readonly Span[];
  /** The last value of `stream`. */
  readonly stream: Span | null;
  /** The last values of what bounds the answer. */
  readonly max_completion_tokens: Span | null;
  readonly max_tokens: Span | null;
  readonly n: Span | null;
  /** How many prompts the last value of `prompt` lists; 0 where it is no list of texts or of token lists. */
  readonly prompts: number;
  readonly stream_options: Span | null;
  /** The last values of what tells conversations apart. */
  readonly prompt: Span | null;
  readonly prompt_cache_key: Span | null;
  /** The first elements of the last `messages`. */
  readonly messages: readonly Span[];
}

type LastField = Exclude<keyof TopLevelFields, "isObject" | "depth" | "models" | "prompts" | "messages">;
type KnownField = "model" | "messages" | LastField;

const LAST_FIELDS: readonly string[] = [
  "stream",
  "max_completion_tokens",
  "max_tokens",
  "n",
  "stream_options",
  "prompt",
  "prompt_cache_key",
] satisfies LastField[];
const isKnownField = (key: unknown): key is KnownField =>
  key === "model" || key === "messages" || (typeof key === "string" && LAST_FIELDS.includes(key));

/** Read in one go: well under a millisecond of work as a rule, two where the bytes were chosen to be slow. */
export const SLICE_BYTES = 64 * 1024;

type Expects = "value" | "value-or-closing" | "key" | "key-or-closing" | "colon" | "comma-or-closing" | "end";

/**
 * Reads the top level of a body without building anything of it, in pieces of bounded work, so that the largest body
 * holds up nobody else. The work is linear in the bytes, whatever their nesting; a bit for each open bracket is all
 * that it keeps.
 *
 * Laws, which the property test holds it to: what `JSON.parse` takes is taken, with the same fields; what is refused
 * here `JSON.parse` refuses too; and the pieces in which it is read make no difference. It is laxer than
 * `JSON.parse` only inside strings and very long numbers, which are the model's to read.
 */
export class BodyScan {
  readonly #body: Buffer;
  #at = 0;
  #expects: Expects = "value";
  #inside: "structure" | "string" | "scalar" = "structure";
  /** Where the key, string or scalar that was last begun has its first byte. */
  #tokenStart = 0;
  #depth = 0;
  #deepest = 0;
  /** One bit for each open bracket: set for an object. */
  #openObjects = new Uint8Array(16);
  /** The last quote that was searched for: until it is passed no byte is searched again. */
  #nextQuote = -1;
  /** Byte by byte up to here. */
  #crawlUntil = -1;
  #isObject = false;
  /** The top-level key whose value is next. */
  #field: KnownField | "other" = "other";
  #valueStart = 0;
  readonly #models: Span[] = [];
  readonly #last: Record<LastField, Span | null> = {
    stream: null,
    max_completion_tokens: null,
    max_tokens: null,
    n: null,
    stream_options: null,
    prompt: null,
    prompt_cache_key: null,
  };
  #messages: Span[] = [];
  /** Of an element of a top-level list. */
  #itemStart = 0;

  #prompts = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  /** Reads on; true at the end of the body. Throws `malformed_json`. */
  advance(budgetBytes: number): boolean {
    const { length } = this.#body;
    const until = Math.min(length, this.#at + budgetBytes);
    while (this.#at < until) {
      if (this.#inside === "structure") this.#readStructure(until);
      else if (this.#inside === "string") this.#readString(until);
      else this.#readScalar(until);
    }
    if (this.#at < length) return false;
    if (this.#inside === "scalar") this.#endScalar();
    if (this.#inside !== "structure" || this.#expects !== "end") throw this.#malformed();
    return true;
  }

  /** What was found; complete once `advance` has said true. */
  get fields(): TopLevelFields {
    return {
      isObject: this.#isObject,
      depth: this.#deepest,
      models: this.#models,
      prompts: this.#prompts,
      messages: this.#messages,
      ...this.#last,
    };
  }

  /** Brackets, commas and colons, until a string or a scalar begins. */
  #readStructure(until: number): void {
    while (this.#at < until && this.#inside === "structure") {
      const byte = this.#body[this.#at] ?? 0;
      if (!isWhiteSpace(byte)) this.#readToken(byte);
      this.#at += 1;
    }
  }

  #readToken(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#beginString();
        return;
      case OPENING_BRACE:
      case OPENING_BRACKET:
        this.#open(byte === OPENING_BRACE);
        return;
      case CLOSING_BRACE:
      case CLOSING_BRACKET:
        this.#close(byte === CLOSING_BRACE);
        return;
      case COMMA:
        if (this.#expects !== "comma-or-closing") throw this.#malformed();
        this.#expects = this.#isInObject() ? "key" : "value";
        return;
      case COLON:
        if (this.#expects !== "colon") throw this.#malformed();
        this.#expects = "value";
        return;
      default:
        this.#beginValue();
        this.#inside = "scalar";
        this.#tokenStart = this.#at;
    }
  }

  #beginString(): void {
    if (this.#expects === "key" || this.#expects === "key-or-closing") this.#expects = "colon";
    else this.#beginValue();
    this.#inside = "string";
    this.#tokenStart = this.#at;
  }

  #beginValue(): void {
    if (this.#expects !== "value" && this.#expects !== "value-or-closing") throw this.#malformed();
    this.#expects = "comma-or-closing";
    if (this.#depth === 1) this.#valueStart = this.#at;
    else if (this.#depth === 2) this.#itemStart = this.#at;
  }

  #open(isObject: boolean): void {
    this.#beginValue();
    const depth = this.#depth;
    if (depth === 0) this.#isObject = isObject;
    const place = depth >> 3;
    if (place >= this.#openObjects.length) {
      const larger = new Uint8Array(this.#openObjects.length * 2);
      larger.set(this.#openObjects);
      this.#openObjects = larger;
    }
    const bit = 1 << (depth & 7);
    const before = this.#openObjects[place] ?? 0;
    this.#openObjects[place] = isObject ? before | bit : before & ~bit;
    this.#depth = depth + 1;
    if (this.#depth > this.#deepest) this.#deepest = this.#depth;
    this.#expects = isObject ? "key-or-closing" : "value-or-closing";
  }

  #close(isObject: boolean): void {
    const emptyOr = isObject ? "key-or-closing" : "value-or-closing";
    if (this.#expects !== "comma-or-closing" && this.#expects !== emptyOr) throw this.#malformed();
    if (this.#depth === 0 || this.#isInObject() !== isObject) throw this.#malformed();
    this.#depth -= 1;
    this.#endValue(this.#at + 1);
  }

  #isInObject(): boolean {
    const depth = this.#depth - 1;
    return ((this.#openObjects[depth >> 3] ?? 0) & (1 << (depth & 7))) !== 0;
  }

  /** On to the closing quote: byte by byte at first, since most strings are short, then from quote to quote. */
  #readString(until: number): void {
    const body = this.#body;
    let at = this.#at;
    let plainBytes = 0;
    while (at < until) {
      const byte = body[at];
      if (byte === QUOTE) {
        this.#at = at + 1;
        this.#endString();
        return;
      }
      if (byte === BACKSLASH) {
        at += 2;
        continue;
      }
      at += 1;
      plainBytes += 1;
      if (plainBytes !== PLAIN_BEFORE_LEAP) continue;
      plainBytes = 0;
      at = this.#leap(at);
    }
    this.#at = Math.min(at, body.length);
    // An escape at the very end: the string has no end.
    if (at > body.length) throw this.#malformed();
  }

  /** From a place that no backslash escapes to the next quote, or behind it when one does. */
  #leap(from: number): number {
    if (from < this.#crawlUntil) return from;
    if (this.#nextQuote < from)
      this.#nextQuote = positionOr(this.#body.indexOf(QUOTE, from), this.#body.length);
    const quote = this.#nextQuote;
    let backslashes = 0;
    while (quote - backslashes > from && this.#body[quote - 1 - backslashes] === BACKSLASH) {
      backslashes += 1;
      if (backslashes < LONGEST_RUN_COUNTED) continue;
      // Counted in slices, as everything else.
      this.#crawlUntil = quote;
      return from;
    }
    return backslashes % 2 === 0 ? quote : quote + 1;
  }

  #endString(): void {
    this.#inside = "structure";
    if (this.#expects !== "colon") {
      this.#endValue(this.#at);
      return;
    }
    if (this.#depth !== 1 || !this.#isObject) return;
    this.#field = this.#fieldOf(this.#tokenStart, this.#at);
    if (this.#field === "prompt") this.#prompts = 0;
    else if (this.#field === "messages") this.#messages = [];
  }

  #fieldOf(start: number, end: number): KnownField | "other" {
    if (end - start > LONGEST_SPELLING) return "other";
    const quoted = this.#body.toString("utf8", start, end);
    const key = quoted.includes("\\") ? unescaped(quoted) : quoted.slice(1, -1);
    return isKnownField(key) ? key : "other";
  }

  #readScalar(until: number): void {
    let at = this.#at;
    while (at < until && !endsScalar(this.#body[at] ?? 0)) at += 1;
    this.#at = at;
    if (at < until) this.#endScalar();
  }

  #endScalar(): void {
    if (!isScalar(this.#body, this.#tokenStart, this.#at)) throw this.#malformed();
    this.#inside = "structure";
    this.#endValue(this.#at);
  }

  #endValue(end: number): void {
    if (this.#depth === 0) {
      this.#expects = "end";
      return;
    }
    this.#expects = "comma-or-closing";
    if (this.#depth === 2 && this.#field !== "other") this.#endItem(end);
    if (this.#depth !== 1 || this.#field === "other") return;
    const span = { start: this.#valueStart, end };
    if (this.#field === "model") this.#models.push(span);
    else if (this.#field !== "messages") this.#last[this.#field] = span;
    this.#field = "other";
  }

  /** Of prompts texts and lists count: a number is a token of the one prompt that the list is. */
  #endItem(end: number): void {
    if (this.#isInObject()) return;
    const last = this.#body[end - 1];
    if (this.#field === "prompt" && (last === QUOTE || last === CLOSING_BRACKET)) this.#prompts += 1;
    if (this.#field === "messages" && this.#messages.length < MESSAGES_KEPT) {
      this.#messages.push({ start: this.#itemStart, end });
    }
  }

  #malformed(): CortexError {
    const where = this.#at >= this.#body.length ? "it ends too early" : `unexpected byte at ${this.#at}`;
    return new CortexError("malformed_json", `the request body is not JSON: ${where}`);
  }
}

/** Instructions and the first words after them. */
const MESSAGES_KEPT = 4;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** A string that is longer than this is searched for its end by the runtime, which pays from about here on. */
const PLAIN_BEFORE_LEAP = 16;

/** Backslashes before a quote that are counted at once. */
const LONGEST_RUN_COUNTED = 4096;

/** The longest name with every letter written as an escape. */
const LONGEST_SPELLING = 2 + 6 * "max_completion_tokens".length;

const positionOr = (position: number, otherwise: number): number => (position === -1 ? otherwise : position);

const isWhiteSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

const endsScalar = (byte: number): boolean =>
  byte === COMMA || byte === CLOSING_BRACE || byte === CLOSING_BRACKET || isWhiteSpace(byte);

const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
const LONGEST_SCALAR_CHECKED = 1024;

function isScalar(body: Buffer, start: number, end: number): boolean {
  if (end - start > LONGEST_SCALAR_CHECKED) return isNumberByte(body[start] ?? 0);
  // Plain digits are most of a long list of tokens, and need no text made of them.
  let at = start;
  while (at < end && isDigit(body[at] ?? 0)) at += 1;
  if (at === end && (body[start] !== 0x30 || end === start + 1)) return true;
  return SCALAR.test(body.toString("latin1", start, end));
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isNumberByte = (byte: number): boolean => isDigit(byte) || byte === 0x2d;

function unescaped(quoted: string): unknown {
  try {
    return JSON.parse(quoted);
  } catch {
    return undefined;
  }
}
