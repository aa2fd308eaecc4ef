import type { AnswerHeaders } from "../../../src/protocol/wire/answer-head.ts";
import type { CallControl, CallHandler } from "../../../src/protocol/wire/io/wire-connection.ts";

type Told = "start" | "head" | "data" | "end" | "error";

/** Writes down all that a call is told, in order; `when` is done right after, within the telling. */
export class RecordedCall implements CallHandler {
  readonly told: Told[] = [];
  readonly pieces: Buffer[] = [];
  status: number | null = null;
  headers: AnswerHeaders = {};
  trailers: AnswerHeaders | null = null;
  error: Error | null = null;
  #control: CallControl | null = null;
  /** After its end or its error. */
  readonly over: Promise<void>;
  readonly #resolve: () => void;
  readonly #when: Partial<Record<Told, (control: CallControl) => void>>;

  constructor(when: Partial<Record<Told, (control: CallControl) => void>> = {}) {
    this.#when = when;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#resolve = resolve;
  }

  get control(): CallControl {
    if (this.#control === null) throw new Error("the call was not begun");
    return this.#control;
  }

  get body(): Buffer {
    return Buffer.concat(this.pieces);
  }

  get code(): unknown {
    return this.error !== null && "code" in this.error ? this.error.code : undefined;
  }

  onRequestStart(control: CallControl): void {
    this.#control = control;
    this.#note("start");
  }

  onResponseStart(_control: CallControl, status: number, headers: AnswerHeaders): void {
    this.status = status;
    this.headers = headers;
    this.#note("head");
  }

  onResponseData(_control: CallControl, bytes: Buffer): void {
    this.pieces.push(bytes);
    this.#note("data");
  }

  onResponseEnd(_control: CallControl, trailers: AnswerHeaders): void {
    this.trailers = trailers;
    this.#resolve();
    this.#note("end");
  }

  onResponseError(_control: CallControl | null, error: Error): void {
    this.error = error;
    this.#resolve();
    this.#note("error");
  }

  #note(what: Told): void {
    this.told.push(what);
    if (this.#control !== null) this.#when[what]?.(this.#control);
  }
}
