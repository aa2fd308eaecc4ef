import type { ServerResponse } from "node:http";
import type { AnswerHeaders } from "../../protocol/wire/answer-head.ts";
import { frameChunk } from "../../protocol/wire/chunk-frame.ts";
import type { CallControl, CallHandler } from "../../protocol/wire/io/wire-connection.ts";

export interface WorkerHead {
  readonly status: number;
  readonly headers: AnswerHeaders;
}

/** The answer of a worker on its way to whoever asked: first its head, then the rest, no faster than it is read. */
export class WorkerAnswer implements CallHandler {
  readonly #head = Promise.withResolvers<WorkerHead>();
  readonly #end = Promise.withResolvers<AnswerHeaders>();
  readonly #signal: AbortSignal;
  #control: CallControl | null = null;
  /** Bytes that came with the head, as long as nobody has said where to. */
  #early: Buffer[] = [];
  #raw: ServerResponse | null = null;
  #endsEvent = true;
  /** The answer goes on in chunks, which are framed here, in one piece each: Node makes four writes of one. */
  #inChunks = false;
  #isOver = false;

  /** `signal`: whoever asked has left; it rejects with its reason. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    // Whoever waits for the head hears of it there.
    this.#end.promise.catch(() => undefined);
  }

  /** Rejects with why there is none. */
  get head(): Promise<WorkerHead> {
    return this.#head.promise;
  }

  /** What was passed on so far ends with a blank line, where an event may follow. */
  get endsEvent(): boolean {
    return this.#endsEvent;
  }

  /** Passes on all that comes; the trailers when it has ended, which is left to the caller. Rejects with why it broke off. */
  pipeTo(raw: ServerResponse): Promise<AnswerHeaders> {
    this.#raw = raw;
    this.#inChunks = raw.chunkedEncoding;
    raw.chunkedEncoding = false;
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) this.#pass(raw, bytes);
    if (this.#isOver) raw.chunkedEncoding = this.#inChunks;
    return this.#end.promise;
  }

  onRequestStart(control: CallControl): void {
    this.#control = control;
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#signal.aborted) this.#onAbort();
  }

  onResponseStart(_control: CallControl, status: number, headers: AnswerHeaders): void {
    this.#head.resolve({ status, headers });
  }

  onResponseData(_control: CallControl, bytes: Buffer): void {
    if (this.#raw === null) this.#early.push(bytes);
    else this.#pass(this.#raw, bytes);
  }

  onResponseEnd(_control: CallControl, trailers: AnswerHeaders): void {
    this.#over();
    this.#end.resolve(trailers);
  }

  onResponseError(_control: CallControl | null, error: Error): void {
    this.#over();
    this.#head.reject(error);
    this.#end.reject(error);
  }

  /** How the answer ends is for the caller to write, by Node's means. */
  #over(): void {
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (this.#raw !== null) this.#raw.chunkedEncoding = this.#inChunks;
  }

  readonly #onAbort = (): void => {
    this.#control?.abort(new Error("the client has left", { cause: this.#signal.reason }));
  };

  #pass(raw: ServerResponse, bytes: Buffer): void {
    // A chunk without bytes would be the last one.
    if (bytes.length === 0) return;
    this.#endsEvent = endsWithBlankLine(bytes);
    if (raw.write(this.#inChunks ? frameChunk(bytes) : bytes)) return;
    const control = this.#control;
    control?.pause();
    raw.once("drain", () => {
      control?.resume();
    });
  }
}

const LF = 0x0a;
const CR = 0x0d;

function endsWithBlankLine(bytes: Buffer): boolean {
  const { length } = bytes;
  if (bytes[length - 1] !== LF) return false;
  return bytes[length - 2] === LF || (bytes[length - 2] === CR && bytes[length - 3] === LF);
}
