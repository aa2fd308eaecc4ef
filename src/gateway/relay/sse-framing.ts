/**
 * Server-sent events as bytes: enough to know where one ends and how a stream ended, without parsing any.
 *
 * Only whole events are handed on. An upstream that dies in the middle of one would otherwise leave half a line at
 * the client, and the error event that must follow would be read as the rest of it. Neurons write one event at a
 * time, so the usual chunk passes as it is and nothing is copied.
 */
const LF = 0x0a;
const CR = 0x0d;

/** A single event larger than this is handed on in pieces rather than kept. */
export const MAX_HELD_BYTES = 256 * 1024;

/** The position after the last blank line, 0 when there is none. Lines may end in LF, CRLF or, rarely, CR alone. */
export function endOfLastEvent(bytes: Buffer): number {
  const { length } = bytes;
  const last = bytes[length - 1];
  if (last === LF) {
    if (bytes[length - 2] === LF) return length;
    if (bytes[length - 2] === CR && bytes[length - 3] === LF) return length;
  } else if (last === CR && bytes[length - 2] === CR) return length;
  const lf = bytes.lastIndexOf("\n\n");
  const crlf = bytes.lastIndexOf("\r\n\r\n");
  const cr = bytes.lastIndexOf("\r\r");
  return Math.max(lf === -1 ? 0 : lf + 2, crlf === -1 ? 0 : crlf + 4, cr === -1 ? 0 : cr + 2);
}

const ONLY_COMMENTS = /^(?::[^\r\n]*(?:\r\n|\r|\n)|\r\n|\r|\n)*$/;
/** A non-empty piece of text or reasoning, or a tool call: what a person would call the first token. */
const CONTENT = /"(?:content|reasoning_content|reasoning|text)":\s*"[^"]|"tool_calls":\s*\[/;

/** An event after which nothing of an answer can follow. Positions are bytes of the piece it was found in. */
export interface LastEvent {
  readonly kind: "done" | "error";
  readonly start: number;
  /** After its blank line, or after the piece when that has not come. */
  readonly end: number;
  /** What it says, without `data:`. */
  readonly data: string;
}

const DONE_WORD = Buffer.from("[DONE]");
const ERROR_WORD = Buffer.from('"error"');
/** With what may stand between its start and its data, such as `event: error`. */
const LAST_EVENT =
  /(?:^|[\r\n])((?:(?:event|id|retry):[^\r\n]*(?:\r\n|\r|\n))*data: ?(\[DONE\](?=[ \t]*(?:[\r\n]|$))|\{\s*(?:"error"\s*:\s*(?!null)|"type"\s*:\s*"error")[^\r\n]*))/g;
const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/g;

export class EventFramer {
  #held: Buffer | null = null;
  #insideEvent = false;
  #beganInside = false;
  #contentSeen = false;

  /** Takes a chunk and gives back what may be written now, or null when no event is complete yet. */
  push(chunk: Buffer): Buffer | null {
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    const end = endOfLastEvent(bytes);
    if (end === 0 && bytes.length <= MAX_HELD_BYTES) {
      this.#held = bytes;
      return null;
    }
    this.#beganInside = this.#insideEvent;
    this.#insideEvent = end === 0;
    const whole = end === 0 ? bytes : bytes.subarray(0, end);
    this.#held = end === 0 || end === bytes.length ? null : bytes.subarray(end);
    return whole;
  }

  /** True once, for the first written piece that carries content. */
  isFirstContent(written: Buffer): boolean {
    if (this.#contentSeen || !CONTENT.test(written.toString("latin1"))) return false;
    this.#contentSeen = true;
    return true;
  }

  get contentSeen(): boolean {
    return this.#contentSeen;
  }

  /** What is left when the stream has ended in good order: a last event without its blank line. */
  rest(): Buffer | null {
    return this.#held;
  }

  /** Part of an event has been written, so that an error event needs a blank line before it. */
  get insideEvent(): boolean {
    return this.#insideEvent;
  }

  /** The terminator or the upstream's own error, whichever comes first in a piece that `push` or `rest` gave. */
  lastEventIn(piece: Buffer): LastEvent | null {
    // Most pieces have neither word, and no text is made of them.
    if (piece.indexOf(DONE_WORD) === -1 && piece.indexOf(ERROR_WORD) === -1) return null;
    return findLastEvent(piece.toString("latin1"), this.#beganInside);
  }
}

function findLastEvent(text: string, beganInside: boolean): LastEvent | null {
  for (const match of text.matchAll(LAST_EVENT)) {
    const [whole, event = "", data = ""] = match;
    const start = match.index + whole.length - event.length;
    // What looks like an event at the start of a piece is the rest of one that is too large to keep.
    if (start === 0 && beganInside) continue;
    BLANK_LINE.lastIndex = start + event.length;
    const end = BLANK_LINE.exec(text) === null ? text.length : BLANK_LINE.lastIndex;
    const utf8 = Buffer.from(data, "latin1").toString("utf8");
    return { kind: data.startsWith("[") ? "done" : "error", start, end, data: utf8 };
  }
  return null;
}

const DATA_FIELD = Buffer.from("data:");

/** How many events carry data, counted by their fields' names; text cannot begin a line, so it never counts. */
export function countEvents(events: Buffer): number {
  let count = 0;
  for (let at = events.indexOf(DATA_FIELD); at !== -1; at = events.indexOf(DATA_FIELD, at + 5)) {
    const before = at === 0 ? LF : events[at - 1];
    if (before === LF || before === CR) count += 1;
  }
  return count;
}

/** Nothing but comments: the connection is kept alive, no answer has begun. */
export const isOnlyComments = (events: Buffer): boolean => ONLY_COMMENTS.test(events.toString("latin1"));

/** An error as the OpenAI SDKs read it from a stream. */
export const errorEvent = (envelope: unknown): string => `data: ${JSON.stringify(envelope)}\n\n`;

/** A comment: keeps the connection alive, and every client ignores it. */
export const comment = (text: string): string => `: ${text.replaceAll(/[\r\n]+/g, " ")}\n\n`;
