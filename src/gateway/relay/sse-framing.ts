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

/** The position after the last blank line, 0 when there is none. */
export function endOfLastEvent(bytes: Buffer): number {
  const { length } = bytes;
  if (bytes[length - 1] === LF) {
    if (bytes[length - 2] === LF) return length;
    if (bytes[length - 2] === CR && bytes[length - 3] === LF) return length;
  }
  const lf = bytes.lastIndexOf("\n\n");
  const crlf = bytes.lastIndexOf("\r\n\r\n");
  return Math.max(lf === -1 ? 0 : lf + 2, crlf === -1 ? 0 : crlf + 4);
}

const DONE = /(?:^|[\r\n])data: ?\[DONE\]\s*$/;
const ERROR_EVENT = /(?:^|[\r\n])data: ?\{"error"/;
const FIRST_ERROR = /^(?::[^\n]*\n|\r?\n)*data: ?(\{"error".*)/;
const ONLY_COMMENTS = /^(?::[^\n]*\n|\r?\n)*$/;
/** A non-empty piece of text or reasoning, or a tool call: what a person would call the first token. */
const CONTENT = /"(?:content|reasoning_content|reasoning|text)":\s*"[^"]|"tool_calls":\s*\[/;

export class EventFramer {
  #held: Buffer | null = null;
  #last: Buffer | null = null;
  #insideEvent = false;
  #contentSeen = false;

  /** Takes a chunk and gives back what may be written now, or null when no event is complete yet. */
  push(chunk: Buffer): Buffer | null {
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    const end = endOfLastEvent(bytes);
    if (end === 0 && bytes.length <= MAX_HELD_BYTES) {
      this.#held = bytes;
      return null;
    }
    this.#insideEvent = end === 0;
    const whole = end === 0 ? bytes : bytes.subarray(0, end);
    this.#held = end === 0 || end === bytes.length ? null : bytes.subarray(end);
    this.#last = whole;
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

  /** The stream ended with its terminator; a blank line too many after it makes no difference. */
  endedWithDone(): boolean {
    const held = this.#held?.toString("latin1") ?? "";
    return DONE.test(held.trim() === "" ? (this.#last?.toString("latin1") ?? "") : held);
  }

  /** The upstream itself has told the client of its failure. */
  reportedError(): boolean {
    return ERROR_EVENT.test((this.#last ?? Buffer.alloc(0)).toString("latin1"));
  }
}

/** Nothing but comments: the connection is kept alive, no answer has begun. */
export const isOnlyComments = (events: Buffer): boolean => ONLY_COMMENTS.test(events.toString("latin1"));

/** The error envelope, as JSON, of a stream that begins with an error event; undefined for any other beginning. */
export const firstErrorOf = (events: Buffer): string | undefined =>
  FIRST_ERROR.exec(events.toString("utf8"))?.[1]?.trimEnd();

/** An error as the OpenAI SDKs read it from a stream. */
export const errorEvent = (envelope: unknown): string => `data: ${JSON.stringify(envelope)}\n\n`;

/** A comment: keeps the connection alive, and every client ignores it. */
export const comment = (text: string): string => `: ${text.replaceAll(/[\r\n]+/g, " ")}\n\n`;
