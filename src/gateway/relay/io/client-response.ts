import type { Socket } from "node:net";
import type { CortexError } from "../../../core/errors.ts";
import { toErrorResponse, type ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import { frameChunk, LAST_CHUNK } from "../../../protocol/wire/chunk-frame.ts";
import { errorEvent } from "../sse-framing.ts";
import type { ResponseOutlet } from "./response-outlet.ts";

export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

export type SinkHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Where an answer goes: to a client as it comes, or through a translation first. */
export interface AnswerSink {
  readonly headersSent: boolean;
  /** The HTTP status that was sent, null before that. */
  readonly status: number | null;
  /** Why the client was told that the answer failed, though the neuron gave it whole; null: it was not. */
  readonly misread: CortexError | null;
  /** Something waits for the client to read. */
  readonly isBehind: boolean;
  /** Grows each time that the client has caught up. */
  readonly drains: number;
  /** A comment or an event that says nothing, to a streaming client; the first one sends the head. */
  keepAlive(event: string): void;
  /** What the neuron's head says, also where a head was sent already. */
  upstreamHead(headers: SinkHeaders): void;
  writeHead(status: number, headers: SinkHeaders): void;
  /** False when the client reads slower than bytes come; `onDrain` runs when it has caught up. */
  write(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  end(): void;
  /** Answers with an error: as a plain answer when nothing was sent, else as the stream's last event. */
  fail(error: CortexError): void;
  /** A short answer that is at hand: a neuron's own error, or ours. */
  sendWhole(status: number, headers: SinkHeaders, body: Buffer): void;
  /** Ends the stream with an error event in a neuron's own words. */
  endWithEvent(envelope: ErrorEnvelope): void;
  /** Closes what is half sent: no client takes it for whole. */
  cut(): void;
  /** Nobody reads what is written: there is nobody to be told. */
  drop(): void;
}

/**
 * The answer to one client, whatever the phase it is in: nothing sent yet, comments sent while a model loads, or
 * bytes of a neuron under way. Its one promise: an answer that failed never looks complete.
 *
 * What comes in one turn leaves in one write. Chunks of a stream are framed here and go to the connection itself once
 * Node has sent the head: its own way makes three pieces of each.
 */
export class ClientResponse implements AnswerSink {
  readonly misread = null;
  readonly #raw: ResponseOutlet;
  readonly #ownHeaders: Readonly<Record<string, string>>;
  #eventStream = false;
  /** Of the bytes that the head has announced, those that are to come; null: it has announced no length. */
  #bytesLeft: number | null = null;
  /** The answer is sent in chunks. */
  #inChunks = false;
  /** Something has been written, and the head with it. */
  #headFlushed = false;
  /** What has come in this turn: nearly always one piece. */
  #pending: Buffer | null = null;
  #morePending: Buffer[] | null = null;
  #drains = 0;
  readonly #onDrain: (() => void)[] = [];
  #awaitsDrain = false;
  #status: number | null = null;

  constructor(raw: ResponseOutlet, ownHeaders: Readonly<Record<string, string>>) {
    this.#raw = raw;
    this.#ownHeaders = ownHeaders;
  }

  get headersSent(): boolean {
    return this.#raw.headersSent;
  }

  get status(): number | null {
    return this.#status;
  }

  keepAlive(event: string): void {
    if (!this.#raw.headersSent) this.writeHead(200, EVENT_STREAM_HEADERS);
    // A client that does not read gets no more of them.
    if (!this.#needsDrain) this.#writeText(event);
  }

  get isBehind(): boolean {
    return this.#needsDrain || (this.#raw.writableEnded && !this.#raw.writableFinished);
  }

  get #needsDrain(): boolean {
    return this.#raw.writableNeedDrain || (this.#inChunks && this.#raw.socket?.writableNeedDrain === true);
  }

  get drains(): number {
    return this.#drains;
  }

  drop(): void {
    this.#raw.destroy();
  }

  upstreamHead(): void {
    // What there is to know of it comes with `writeHead`.
  }

  writeHead(status: number, headers: SinkHeaders): void {
    this.#status = status;
    this.#eventStream = String(headers["content-type"] ?? "").startsWith("text/event-stream");
    const length = headers["content-length"];
    this.#bytesLeft = length === undefined ? null : Number(length);
    const raw = this.#raw;
    raw.writeHead(status, { ...headers, ...this.#ownHeaders });
    // From here on it only says whether Node frames what is written; the head has been made, and has announced chunks.
    this.#inChunks = raw.chunkedEncoding;
    raw.chunkedEncoding = false;
  }

  write(bytes: Buffer): boolean {
    if (this.#bytesLeft !== null) return this.#writeOfLength(bytes, this.#bytesLeft);
    if (!this.#inChunks) return this.#watched(this.#raw, this.#raw.write(bytes));
    // A chunk without bytes would be the last one.
    if (bytes.length === 0) return true;
    if (this.#pending === null) {
      this.#pending = bytes;
      process.nextTick(flushOf, this);
    } else if (this.#morePending === null) this.#morePending = [bytes];
    else this.#morePending.push(bytes);
    return this.#watched(this.#raw.socket ?? this.#raw, !this.#needsDrain);
  }

  /** The last bytes leave together with the end, and those of a short answer with its head: that is one write. */
  #writeOfLength(bytes: Buffer, left: number): boolean {
    this.#bytesLeft = left - bytes.length;
    if (this.#bytesLeft !== 0) return this.#watched(this.#raw, this.#raw.write(bytes));
    this.#raw.end(bytes);
    return true;
  }

  #watched(stream: ResponseOutlet | Socket, keepsUp: boolean): boolean {
    if (!keepsUp && !this.#awaitsDrain) {
      this.#awaitsDrain = true;
      stream.once("drain", () => {
        this.#awaitsDrain = false;
        this.#drains += 1;
        for (const listener of this.#onDrain) listener();
      });
    }
    return keepsUp;
  }

  /** Sends what has come in this turn. */
  flush(): void {
    const framed = this.#takePending();
    if (framed === null) return;
    const raw = this.#raw;
    const { socket } = raw;
    if (raw.destroyed || socket?.destroyed === true) return;
    // Without a connection it waits for the answers ahead, at Node's; and what sends the head is Node's too.
    if (socket === null || !this.#headFlushed) this.#watched(raw, raw.write(framed));
    else this.#watched(socket, socket.write(framed));
    this.#headFlushed = true;
  }

  /** Null where nothing has come. */
  #takePending(): Buffer | null {
    const first = this.#pending;
    const more = this.#morePending;
    if (first === null) return null;
    this.#pending = null;
    this.#morePending = null;
    return frameChunk(more === null ? first : Buffer.concat([first, ...more]));
  }

  #writeText(text: string): void {
    this.write(Buffer.from(text));
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener);
  }

  end(): void {
    const raw = this.#raw;
    if (this.#inChunks) {
      const framed = this.#takePending();
      raw.end(framed === null ? LAST_CHUNK : Buffer.concat([framed, LAST_CHUNK]));
    } else if (!raw.writableEnded) raw.end();
  }

  fail(error: CortexError): void {
    const { status, headers, body } = toErrorResponse(error);
    if (!this.#raw.headersSent) {
      const bytes = Buffer.from(JSON.stringify(body));
      this.sendWhole(status, { ...headers, "content-type": "application/json; charset=utf-8" }, bytes);
      return;
    }
    if (this.#eventStream) this.#writeText(errorEvent(body));
    this.cut();
  }

  sendWhole(status: number, headers: SinkHeaders, body: Buffer): void {
    this.writeHead(status, { ...headers, "content-length": String(body.length) });
    this.#raw.end(body);
  }

  endWithEvent(envelope: ErrorEnvelope): void {
    this.#writeText(errorEvent(envelope));
    this.cut();
  }

  /**
   * Closes what is half sent, after what is written already: no terminator, so no client takes it for whole. An
   * answer whose end is the end of the connection (HTTP/1.0) can only be told from a whole one by a reset.
   */
  cut(): void {
    this.flush();
    const raw = this.#raw;
    const { socket } = raw;
    if (socket === null) raw.destroy();
    else if (this.#inChunks || this.#bytesLeft !== null) socket.destroySoon();
    else raw.write("\n", () => socket.resetAndDestroy());
  }
}

const flushOf = (response: ClientResponse): void => {
  response.flush();
};
