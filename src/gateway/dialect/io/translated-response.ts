import { createParser, type EventSourceParser } from "eventsource-parser";
import { CortexError, errorKind, isErrorCode } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import { readErrorEnvelope, toErrorResponse, type ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import { parseUsage, USAGE_HEADER } from "../../../protocol/headers/usage-header.ts";
import { EVENT_STREAM_HEADERS, type AnswerSink, type SinkHeaders } from "../../relay/io/client-response.ts";
import type { AnswerTranslator, DialectErrors, StreamTranslator } from "../contract/dialect.ts";

const JSON_HEADERS = { "content-type": "application/json; charset=utf-8" };
/** A whole answer is kept until it can be translated; none of a model is as long. */
const LONGEST_WHOLE_BYTES = 64 * 1024 * 1024;

/**
 * Takes what a relay writes for an OpenAI client and writes it to a client of another dialect. The promise is the
 * same: an answer that failed never looks complete, so a stream that cannot be read ends in the dialect's error.
 */
export class TranslatedResponse implements AnswerSink {
  readonly #to: AnswerSink;
  readonly #answer: AnswerTranslator;
  readonly #errors: DialectErrors;
  readonly #streamHeaders: SinkHeaders;
  /** The head of a stream is out. */
  #isStream = false;
  /** Of an answer that is whole: its head and what has come of it. */
  #whole: { readonly status: number; readonly headers: SinkHeaders; readonly pieces: Buffer[] } | null = null;
  #wholeBytes = 0;
  #stream: StreamTranslator | null = null;
  #promptTokens: number | null = null;
  readonly #parser: EventSourceParser;
  readonly #decoder = new TextDecoder();
  #translated = "";
  #isDone = false;
  #failed = false;
  #misread: CortexError | null = null;

  constructor(
    to: AnswerSink,
    translation: {
      readonly answer: AnswerTranslator;
      readonly errors: DialectErrors;
      readonly streamType?: string | undefined;
    },
  ) {
    this.#to = to;
    this.#answer = translation.answer;
    this.#errors = translation.errors;
    this.#streamHeaders = {
      ...EVENT_STREAM_HEADERS,
      ...(translation.streamType === undefined ? {} : { "content-type": translation.streamType }),
    };
    this.#parser = createParser({ onEvent: ({ data }) => this.#event(data) });
  }

  get headersSent(): boolean {
    return this.#to.headersSent;
  }

  get status(): number | null {
    return this.#to.status;
  }

  get misread(): CortexError | null {
    return this.#misread;
  }

  get isBehind(): boolean {
    return this.#to.isBehind;
  }

  get drains(): number {
    return this.#to.drains;
  }

  /** Whatever OpenAI's clients are told meanwhile is theirs. */
  keepAlive(): void {
    // What is not written must not be counted as said either.
    if (this.#failed || this.#isDone || this.#to.isBehind) return;
    this.#beginStream(200, {});
    this.#to.keepAlive(this.#translator().keepAlive());
  }

  drop(): void {
    this.#failed = true;
    this.#to.drop();
  }

  upstreamHead(headers: SinkHeaders): void {
    this.#promptTokens = parseUsage(headers[USAGE_HEADER])?.promptTokens ?? null;
  }

  writeHead(status: number, headers: SinkHeaders): void {
    const type = String(headers["content-type"] ?? "");
    if (type.startsWith("text/event-stream")) this.#beginStream(status, headers);
    else this.#whole = { status, headers, pieces: [] };
  }

  write(bytes: Buffer): boolean {
    if (this.#failed) return true;
    if (this.#whole !== null) return this.#keep(this.#whole.pieces, bytes);
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    const text = this.#translated;
    this.#translated = "";
    return text === "" || this.#to.write(Buffer.from(text));
  }

  onDrain(listener: () => void): void {
    this.#to.onDrain(listener);
  }

  end(): void {
    if (this.#failed) return;
    if (this.#whole !== null) {
      const { status, headers, pieces } = this.#whole;
      this.sendWhole(status, headers, Buffer.concat(pieces));
    } else if (this.#isDone) this.#to.end();
    else this.fail(new CortexError("upstream_cut_stream", "the answer ended before it was complete"));
  }

  fail(error: CortexError): void {
    const { status, headers, body } = toErrorResponse(error);
    this.#sendError(body, status, headers);
  }

  sendWhole(status: number, headers: SinkHeaders, body: Buffer): void {
    const answer = parseJson(body.toString("utf8"));
    if (status >= 400) {
      const envelope = readErrorEnvelope(answer) ?? {
        error: { message: `answered with HTTP ${status}`, type: "api_error" },
      };
      this.#sendError(envelope, status, headers);
      return;
    }
    let translated: unknown;
    try {
      translated = this.#answer.whole(answer);
    } catch (thrown) {
      this.#failReading(thrown);
      return;
    }
    this.#to.sendWhole(status, { ...headers, ...JSON_HEADERS }, Buffer.from(JSON.stringify(translated)));
  }

  endWithEvent(envelope: ErrorEnvelope): void {
    const { code } = envelope.error;
    this.#sendError(envelope, isErrorCode(code) ? errorKind(code).httpStatus : 502, {});
  }

  cut(): void {
    this.#failed = true;
    this.#to.cut();
  }

  #beginStream(status: number, headers: SinkHeaders): void {
    this.#isStream = true;
    if (!this.#to.headersSent) this.#to.writeHead(status, { ...headers, ...this.#streamHeaders });
  }

  #keep(pieces: Buffer[], bytes: Buffer): boolean {
    pieces.push(bytes);
    this.#wholeBytes += bytes.length;
    if (this.#wholeBytes > LONGEST_WHOLE_BYTES) this.#failReading(new Error("it is far too long"));
    return true;
  }

  #event(data: string): void {
    if (this.#failed || this.#isDone) return;
    try {
      const stream = this.#translator();
      this.#isDone = data === "[DONE]";
      this.#translated += this.#isDone ? stream.done() : stream.chunk(JSON.parse(data));
    } catch (thrown) {
      this.#failReading(thrown);
    }
  }

  #failReading(cause: unknown): void {
    this.#misread = unreadable(cause);
    this.fail(this.#misread);
  }

  #translator(): StreamTranslator {
    return (this.#stream ??= this.#answer.stream(() => this.#promptTokens));
  }

  #sendError(envelope: ErrorEnvelope, status: number, headers: SinkHeaders): void {
    if (this.#failed) return;
    this.#failed = true;
    if (!this.#to.headersSent) {
      const bytes = Buffer.from(JSON.stringify(this.#errors.body(envelope, status)));
      this.#to.sendWhole(this.#errors.status(status), { ...headers, ...JSON_HEADERS }, bytes);
      return;
    }
    const before = this.#translated;
    this.#translated = "";
    if (this.#isStream) {
      this.#to.write(Buffer.from(before + this.#translator().error(envelope, status)));
    }
    this.#to.cut();
  }
}

const unreadable = (cause: unknown): CortexError =>
  new CortexError("upstream_connection_error", "the model's answer could not be read", { cause });
