import { CortexError, errorKind, isErrorCode } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { errorEnvelopeSchema } from "../../protocol/error-envelope.ts";
import { clientResponseHeaders, type HeaderBag } from "./header-policy.ts";
import { EventFramer, firstErrorOf, isOnlyComments } from "./sse-framing.ts";

/** Largest error answer that is read before it is passed on; a longer one is passed on as it comes. */
export const MAX_ERROR_BYTES = 64 * 1024;

/** A neuron's error answer, kept until it is known whether the request is sent elsewhere. */
export interface HeldAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  readonly code: string | null;
}

/** What came of sending a request to a neuron. */
export type RelayResult =
  /** The client has the whole answer. */
  | { readonly kind: "completed" }
  /** Nothing of an answer has come. */
  | { readonly kind: "failed-before-answer"; readonly code: string }
  /** The neuron answered with an error; nothing of it has been passed on. */
  | { readonly kind: "answered-error"; readonly answer: HeldAnswer }
  /** The answer broke off under way; the client has been told. */
  | { readonly kind: "cut" }
  /** The client has left, or the gateway stops. */
  | { readonly kind: "aborted" };

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
  /** The answer ends without looking complete: the client knows already, or cannot be told. */
  | { readonly kind: "cut-answer" }
  /** Nothing more is wanted of the neuron. */
  | { readonly kind: "abort-upstream" }
  /** The last action of all. */
  | { readonly kind: "conclude"; readonly result: RelayResult };

type Actions = readonly RelayAction[];

const NOTHING: Actions = [];

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
  /** Error bytes that are kept back; null once the answer is passed on as it comes. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;
  /** Present when the answer is an event stream. */
  #framer: EventFramer | null = null;
  /** Bytes of the answer itself have gone to the client; comments do not count. */
  #answerBegun = false;
  #concluded = false;

  /** `headSent`: the client was promised an event stream already, by comments while a model loaded. */
  constructor(neuron: string, headSent: boolean) {
    this.#neuron = neuron;
    this.#headSent = headSent;
  }

  /** The neuron has sent status and headers; informational ones are of no interest. */
  headReceived(status: number, headers: HeaderBag): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = clientResponseHeaders(headers, { "x-cortex-neuron": this.#neuron });
    if (status >= 400) this.#held = [];
    else if (isEventStream(headers)) {
      this.#framer = new EventFramer();
      // Nothing is known of its length any more once it may end in an error event.
      delete this.#headers["content-length"];
    }
  }

  /** A chunk of the answer has come. */
  bytesReceived(chunk: Buffer): Actions {
    if (this.#concluded) return NOTHING;
    if (this.#held !== null) return this.#hold(this.#held, chunk);
    const bytes = this.#framer === null ? chunk : this.#framer.push(chunk);
    if (bytes === null) return NOTHING;
    return this.#answerBegun ? this.#passOn(bytes) : this.#begin(bytes);
  }

  /** The neuron has ended its answer in good order. */
  answerEnded(): Actions {
    if (this.#concluded) return NOTHING;
    if (this.#held !== null) return this.#answerError(Buffer.concat(this.#held), this.#status);
    return this.#framer === null ? this.#endPlain() : this.#endStream(this.#framer);
  }

  /** The connection has failed; `code` is the system's or the HTTP client's word for it. */
  connectionBroke(code: string): Actions {
    if (this.#concluded) return NOTHING;
    if (this.#answerBegun) return this.#cutShort(code);
    return this.#conclude({ kind: "failed-before-answer", code });
  }

  /** The client has left, or the gateway stops: what still comes is of no interest. */
  requestStopped(): Actions {
    return this.#concluded ? NOTHING : this.#conclude({ kind: "aborted" });
  }

  #hold(held: Buffer[], chunk: Buffer): Actions {
    held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= MAX_ERROR_BYTES) return NOTHING;
    this.#held = null;
    return this.#begin(Buffer.concat(held));
  }

  /** The first bytes, or the first after nothing but comments. */
  #begin(bytes: Buffer): Actions {
    const error = this.#framer === null ? undefined : firstErrorOf(bytes);
    if (error !== undefined) return this.#beginWithError(Buffer.from(error));
    if (this.#promisedAStream()) return this.#breakPromise();
    const head = this.#head();
    this.#answerBegun = this.#framer === null || !isOnlyComments(bytes);
    return [...head, ...this.#passOn(bytes)];
  }

  #passOn(bytes: Buffer): Actions {
    const write = { kind: "write-bytes", bytes } as const;
    if (this.#framer?.contentSeen !== false || !this.#framer.isFirstContent(bytes)) return [write];
    return [{ kind: "note-first-content" }, write];
  }

  /** A stream that begins with an error has had no chance to say so by status. */
  #beginWithError(body: Buffer): Actions {
    const code = envelopeCode(body);
    this.#headers = { ...this.#headers, "content-type": "application/json" };
    const status = isErrorCode(code) ? errorKind(code).httpStatus : 502;
    return [...this.#answerError(body, status), { kind: "abort-upstream" }];
  }

  #answerError(body: Buffer, status: number): Actions {
    const answer = { status, headers: this.#headers, body, code: envelopeCode(body) };
    return this.#conclude({ kind: "answered-error", answer });
  }

  #promisedAStream(): boolean {
    return this.#headSent && this.#framer === null;
  }

  #breakPromise(): Actions {
    const message = `neuron ${this.#neuron} answered a streaming request with something else than a stream`;
    const error = new CortexError("upstream_connection_error", message);
    return [{ kind: "fail-answer", error }, ...this.#conclude({ kind: "cut" }), { kind: "abort-upstream" }];
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
    if (!framer.endedWithDone()) {
      if (this.#answerBegun) return this.#cutShort("no terminator");
      return this.#conclude({ kind: "failed-before-answer", code: "UND_ERR_SOCKET" });
    }
    const rest = framer.rest();
    const last: Actions = rest === null ? NOTHING : [{ kind: "write-bytes", bytes: rest }];
    return [...this.#head(), ...last, { kind: "end-answer" }, ...this.#conclude({ kind: "completed" })];
  }

  #cutShort(reason: string): Actions {
    const framer = this.#framer;
    const conclusion = this.#conclude({ kind: "cut" });
    // The neuron may have told the client itself; a second error event would only hide the first.
    if (framer === null || framer.reportedError()) return [{ kind: "cut-answer" }, ...conclusion];
    const message = `neuron ${this.#neuron} broke off the stream (${reason}); what was received is incomplete`;
    const details = { neuron: this.#neuron };
    const error = new CortexError("upstream_cut_stream", message, { details });
    const closing: Actions = framer.insideEvent ? [{ kind: "write-bytes", bytes: Buffer.from("\n\n") }] : [];
    return [...closing, { kind: "fail-answer", error }, ...conclusion];
  }

  #conclude(result: RelayResult): Actions {
    this.#concluded = true;
    return [{ kind: "conclude", result }];
  }
}

const isEventStream = (headers: HeaderBag): boolean =>
  String(headers["content-type"] ?? "").startsWith("text/event-stream");

function envelopeCode(body: Buffer): string | null {
  const parsed = errorEnvelopeSchema.safeParse(parseJson(body.toString("utf8")));
  return parsed.success ? (parsed.data.error.code ?? null) : null;
}
