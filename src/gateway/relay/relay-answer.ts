import { CortexError, errorKind, isErrorCode } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { readErrorEnvelope, type ErrorEnvelope } from "../../protocol/error-envelope.ts";
import { clientResponseHeaders, type HeaderBag } from "./header-policy.ts";
import { parseUsage, USAGE_HEADER, type TokenUsage } from "../../protocol/headers/usage-header.ts";
import { countEvents, EventFramer, isOnlyComments, type LastEvent } from "./sse-framing.ts";

/** Largest error answer that is read; a longer one is not a neuron's. */
export const MAX_ERROR_BYTES = 64 * 1024;

/** An error answer, kept until it is known whether the request is sent elsewhere. */
export interface HeldAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Null: not a neuron's error but what something between us said, a proxy's page or a redirect. Never passed on. */
  readonly envelope: ErrorEnvelope | null;
}

/** What came of sending a request to a neuron. */
export type RelayResult =
  /** The client has the whole answer. */
  | { readonly kind: "completed" }
  /** Nothing of an answer has come. */
  | { readonly kind: "failed-before-answer"; readonly code: string }
  /** The neuron answered with an error; nothing of it has been passed on. */
  | { readonly kind: "answered-error"; readonly answer: HeldAnswer }
  /** The answer broke off under way; the client has been told, with this code. */
  | { readonly kind: "cut"; readonly code: string }
  /** The client has left, or the gateway stops. */
  | { readonly kind: "aborted" };

/** What an answer cost: told by the neuron when it is whole, else estimated from what was passed on. */
export interface AnswerCost {
  readonly usage: TokenUsage | undefined;
  /** Told at the head of a stream, before its answer is written. */
  readonly promptTokens: number | undefined;
  /** Events of the stream that carried data: a token each, about. */
  readonly eventsPassed: number;
  /** Bytes of an answer that is no stream. */
  readonly bytesPassed: number;
}

export type RelayAction =
  /** Status and headers of the answer, which is about to begin. */
  | {
      readonly kind: "send-head";
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[]>>;
    }
  /** What a person would call the first token is in the bytes that follow. */
  | { readonly kind: "note-first-content" }
  /** Bytes for the client, as the neuron sent them. */
  | { readonly kind: "write-bytes"; readonly bytes: Buffer }
  /** The answer is whole: end it in good order. */
  | { readonly kind: "end-answer" }
  /** The client is told what went wrong, and the answer ends without looking complete. */
  | { readonly kind: "fail-answer"; readonly error: CortexError }
  /** The same in the neuron's words. */
  | { readonly kind: "pass-on-error"; readonly envelope: ErrorEnvelope }
  /** The answer ends without looking complete: the client cannot be told. */
  | { readonly kind: "cut-answer" }
  /** The client has its answer; what it cost follows, and is waited for a moment. */
  | { readonly kind: "await-usage" }
  /** Nothing more is wanted of the neuron. */
  | { readonly kind: "abort-upstream" }
  /** The last action of all. */
  | { readonly kind: "conclude"; readonly result: RelayResult };

/** Words beside those of the system for an answer that did not come. */
export type SilenceReason = "NEURON_HUNG" | "NEURON_SILENT";

type Actions = readonly RelayAction[];

const NOTHING: Actions = [];
/** Comments begin with it. */
const COLON = 0x3a;
const ABORT_UPSTREAM = { kind: "abort-upstream" } as const;

/**
 * The course of one answer from a neuron to a client: what comes goes in by a method, what is to be done comes out.
 *
 * Laws, which the property test holds it to: it concludes once, and nothing follows; an answer that fails never ends
 * in good order; before the first byte of an answer nothing of a failure reaches the client; and however the
 * neuron's bytes are cut into chunks, the client gets the same.
 *
 * It keeps its own state, and a method stands for each event: this runs for each chunk of each stream, where a
 * reducer would make a state and an event object every time.
 */
export class AnswerRelay {
  readonly #neuron: string;
  #headSent: boolean;
  #status = 0;
  #headers: Record<string, string | string[]> = {};
  /** Bytes of an error, which are kept back; null when the answer is none. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  /** Present when the answer is an event stream. */
  #framer: EventFramer | null = null;
  /** Bytes of the answer itself have gone to the client; comments do not count. */
  #answerBegun = false;
  #concluded = false;
  #usage: TokenUsage | undefined;
  #promptTokens: number | undefined;
  #usageFollows = false;
  /** The client has its whole answer; the relay concludes when its usage has come. */
  #awaitsUsage = false;
  #eventsPassed = 0;
  #bytesPassed = 0;
  #events = 0;

  /** The answer is of no dialect: whole where HTTP says so, and of a length that tells no tokens. */
  readonly #isOpaque: boolean;

  /** `headSent`: the client was promised an event stream already, by comments while a model loaded. */
  constructor(neuron: string, headSent: boolean, isOpaque = false) {
    this.#neuron = neuron;
    this.#headSent = headSent;
    this.#isOpaque = isOpaque;
  }

  /** What the answer cost, as far as is known of it now. */
  get cost(): AnswerCost {
    return {
      usage: this.#usage,
      promptTokens: this.#promptTokens,
      eventsPassed: this.#eventsPassed,
      bytesPassed: this.#bytesPassed,
    };
  }

  /** Grows with each piece of whole events that went to the client, comments left out. */
  get events(): number {
    return this.#events;
  }

  /** Bytes of the answer itself have gone to the client: nobody else can answer any more. */
  get isBegun(): boolean {
    return this.#answerBegun;
  }

  /** An event may be put into the stream here. */
  get isBetweenEvents(): boolean {
    if (this.#concluded || this.#awaitsUsage || this.#held !== null) return false;
    return this.#framer === null ? !this.#answerBegun : !this.#framer.insideEvent;
  }

  /** The client was promised an event stream meanwhile, by an event that keeps it waiting. */
  headWasSent(): void {
    this.#headSent = true;
  }

  /** The neuron has sent status and headers; informational ones are of no interest. */
  headReceived(status: number, headers: HeaderBag): void {
    if (status < 200) return;
    this.#status = status;
    const told = parseUsage(headers[USAGE_HEADER]);
    if (isEventStream(headers)) this.#promptTokens = told?.promptTokens;
    else this.#usage = told;
    this.#usageFollows = headers["trailer"] === USAGE_HEADER;
    this.#headers = clientResponseHeaders(headers, { "x-cortex-neuron": this.#neuron });
    if (status >= 300 || isPage(headers)) this.#held = [];
    else if (isEventStream(headers) && !this.#isOpaque) {
      this.#framer = new EventFramer();
      // Nothing is known of its length any more once it may end in an error event.
      delete this.#headers["content-length"];
    }
  }

  /** A chunk of the answer has come. */
  bytesReceived(chunk: Buffer): Actions {
    if (this.#concluded || this.#awaitsUsage) return NOTHING;
    if (this.#held !== null) return this.#hold(this.#held, chunk);
    const bytes = this.#framer === null ? chunk : this.#framer.push(chunk);
    if (bytes === null) return NOTHING;
    return this.#answerBegun ? this.#passOn(bytes) : this.#begin(bytes);
  }

  /** The neuron has ended its answer in good order. */
  answerEnded(trailers: HeaderBag = {}): Actions {
    if (this.#concluded) return NOTHING;
    this.#usage ??= parseUsage(trailers[USAGE_HEADER]);
    this.#usageFollows = false;
    if (this.#awaitsUsage) return this.#conclude({ kind: "completed" });
    if (this.#held !== null) return this.#answerError(this.#errorIn(this.#held));
    return this.#framer === null ? this.#endPlain() : this.#endStream(this.#framer);
  }

  /** The connection has failed; `code` is the system's or the HTTP client's word for it. */
  connectionBroke(code: string): Actions {
    if (this.#concluded) return NOTHING;
    if (this.#awaitsUsage) return this.#conclude({ kind: "completed" });
    if (this.#answerBegun) return this.#cutShort(code);
    return this.#conclude({ kind: "failed-before-answer", code });
  }

  /** The neuron has said nothing for too long, or does not live. */
  neuronSilent(reason: SilenceReason): Actions {
    if (this.#concluded || this.#awaitsUsage) return NOTHING;
    if (this.#answerBegun) return [...this.#cutShort("it fell silent"), ABORT_UPSTREAM];
    return [...this.#conclude({ kind: "failed-before-answer", code: reason }), ABORT_UPSTREAM];
  }

  /** The client has left, or the gateway stops: what still comes is of no interest. */
  requestStopped(): Actions {
    if (this.#concluded) return NOTHING;
    return this.#conclude({ kind: this.#awaitsUsage ? "completed" : "aborted" });
  }

  /** The usage that was announced has not come in time. */
  usageOverdue(): Actions {
    if (this.#concluded || !this.#awaitsUsage) return NOTHING;
    return [...this.#conclude({ kind: "completed" }), ABORT_UPSTREAM];
  }

  #hold(held: Buffer[], chunk: Buffer): Actions {
    held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= MAX_ERROR_BYTES) return NOTHING;
    return [...this.#answerError(null), ABORT_UPSTREAM];
  }

  /** The first bytes, or the first after nothing but comments. */
  #begin(bytes: Buffer): Actions {
    const last = this.#framer?.lastEventIn(bytes) ?? null;
    if (last?.kind === "error" && isOnlyComments(bytes.subarray(0, last.start))) {
      return this.#beginWithError(last);
    }
    if (this.#promisedAStream()) return this.#breakPromise();
    const head = this.#head();
    this.#answerBegun = this.#framer === null || !isOnlyComments(bytes);
    return [...head, ...this.#passOn(bytes)];
  }

  #passOn(bytes: Buffer): Actions {
    const framer = this.#framer;
    if (framer === null) {
      if (!this.#isOpaque) this.#bytesPassed += bytes.length;
      return [{ kind: "write-bytes", bytes }];
    }
    const last = framer.lastEventIn(bytes);
    if (last !== null) return this.#passOnLast(bytes, last);
    return this.#write(framer, bytes);
  }

  #write(framer: EventFramer, bytes: Buffer): Actions {
    const write = { kind: "write-bytes", bytes } as const;
    this.#eventsPassed += countEvents(bytes);
    if (bytes[0] !== COLON || !isOnlyComments(bytes)) this.#events += 1;
    if (framer.contentSeen || !framer.isFirstContent(bytes)) return [write];
    return [{ kind: "note-first-content" }, write];
  }

  /** What comes after a terminator or an error is nobody's answer. */
  #passOnLast(bytes: Buffer, last: LastEvent): Actions {
    const framer = this.#framer;
    if (framer === null) return NOTHING;
    if (last.kind === "done") {
      const written = this.#write(framer, bytes.subarray(0, last.end));
      this.#awaitsUsage = this.#usageFollows;
      const then: Actions = this.#awaitsUsage
        ? [{ kind: "await-usage" }]
        : this.#conclude({ kind: "completed" });
      return [...written, { kind: "end-answer" }, ...then];
    }
    const before = last.start === 0 ? NOTHING : this.#write(framer, bytes.subarray(0, last.start));
    const envelope = readErrorEnvelope(parseJson(last.data));
    if (envelope === null)
      return [...before, ...this.#cutShort("an error that says nothing"), ABORT_UPSTREAM];
    const conclusion = this.#conclude({ kind: "cut", code: knownCode(envelope) });
    return [...before, { kind: "pass-on-error", envelope }, ...conclusion, ABORT_UPSTREAM];
  }

  /** A stream that begins with an error has had no chance to say so by status. */
  #beginWithError(event: LastEvent): Actions {
    const envelope = readErrorEnvelope(parseJson(event.data));
    const code = envelope?.error.code;
    this.#status = isErrorCode(code) ? errorKind(code).httpStatus : 502;
    return [...this.#answerError(envelope), ABORT_UPSTREAM];
  }

  #errorIn(held: readonly Buffer[]): ErrorEnvelope | null {
    // An error has the status of one; a redirect is something else, whatever it says beside it.
    if (this.#status < 400) return null;
    return readErrorEnvelope(parseJson(Buffer.concat(held).toString("utf8")));
  }

  #answerError(envelope: ErrorEnvelope | null): Actions {
    const answer = { status: this.#status, headers: this.#headers, envelope };
    return this.#conclude({ kind: "answered-error", answer });
  }

  #promisedAStream(): boolean {
    return this.#headSent && this.#framer === null;
  }

  #breakPromise(): Actions {
    const message = `neuron ${this.#neuron} answered a streaming request with something else than a stream`;
    const error = new CortexError("upstream_connection_error", message);
    const conclusion = this.#conclude({ kind: "cut", code: error.code });
    return [{ kind: "fail-answer", error }, ...conclusion, ABORT_UPSTREAM];
  }

  #head(): Actions {
    if (this.#headSent) return NOTHING;
    this.#headSent = true;
    return [{ kind: "send-head", status: this.#status, headers: this.#headers }];
  }

  #endPlain(): Actions {
    if (!this.#answerBegun && this.#promisedAStream()) return this.#breakPromise();
    return [...this.#head(), { kind: "end-answer" }, ...this.#conclude({ kind: "completed" })];
  }

  #endStream(framer: EventFramer): Actions {
    const rest = framer.rest();
    const last = rest === null ? null : framer.lastEventIn(rest);
    if (rest !== null && last !== null) {
      if (last.kind === "error" && !this.#answerBegun) return this.#beginWithError(last);
      return [...this.#head(), ...this.#passOnLast(rest, last)];
    }
    if (this.#answerBegun) return this.#cutShort("no terminator");
    return this.#conclude({ kind: "failed-before-answer", code: "UND_ERR_SOCKET" });
  }

  #cutShort(reason: string): Actions {
    const conclusion = this.#conclude({ kind: "cut", code: "upstream_cut_stream" });
    if (this.#framer === null) return [{ kind: "cut-answer" }, ...conclusion];
    const message = `neuron ${this.#neuron} broke off the stream (${reason}); what was received is incomplete`;
    const details = { neuron: this.#neuron };
    const error = new CortexError("upstream_cut_stream", message, { details });
    const closing: Actions = this.#framer.insideEvent
      ? [{ kind: "write-bytes", bytes: Buffer.from("\n\n") }]
      : [];
    return [...closing, { kind: "fail-answer", error }, ...conclusion];
  }

  #conclude(result: RelayResult): Actions {
    this.#concluded = true;
    return [{ kind: "conclude", result }];
  }
}

const isEventStream = (headers: HeaderBag): boolean =>
  String(headers["content-type"] ?? "").startsWith("text/event-stream");

/** What no neuron answers with, whatever the status beside it. */
const isPage = (headers: HeaderBag): boolean => String(headers["content-type"] ?? "").startsWith("text/html");

/** For log and metrics, which know the codes of the error table only. */
export const knownCode = ({ error }: ErrorEnvelope): string =>
  isErrorCode(error.code) ? error.code : "upstream_error";
