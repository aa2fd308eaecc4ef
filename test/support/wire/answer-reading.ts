import type { AnswerHeaders } from "../../../src/protocol/wire/answer-head.ts";
import { AnswerReader, type AnswerListener } from "../../../src/protocol/wire/answer-reader.ts";
import { MalformedAnswer } from "../../../src/protocol/wire/malformed-answer.ts";

/** What was told of one answer. */
export interface Told {
  status: number | null;
  headers: AnswerHeaders;
  body: Buffer;
  /** Sizes of the pieces, as the reads brought them. */
  pieces: number;
  trailers: AnswerHeaders | null;
  ends: number;
  keeps: boolean;
  /** It was refused, or the connection ended before it did. */
  failure: "malformed" | "cut" | null;
}

const nothingTold = (): Told => ({
  status: null,
  headers: {},
  body: Buffer.alloc(0),
  pieces: 0,
  trailers: null,
  ends: 0,
  keeps: false,
  failure: null,
});

/** Reads as a connection does: all through one buffer, which is overwritten after each read. */
export class Reading implements AnswerListener {
  told = nothingTold();
  readonly #reader = new AnswerReader(this);
  readonly #shared = Buffer.alloc(64 * 1024);

  expect(): void {
    this.told = nothingTold();
    this.#reader.expect();
  }

  /** False when it was refused. */
  push(piece: Buffer): boolean {
    const length = piece.copy(this.#shared);
    try {
      this.#reader.push(this.#shared, length);
      return true;
    } catch (thrown) {
      if (thrown instanceof MalformedAnswer) return false;
      throw thrown;
    } finally {
      // What a reader must not find here, nor may have kept.
      this.#shared.fill("\r\n\r\n0\r\n\r\n");
    }
  }

  /** All of it, until the answer is over or refused; then the connection ends. */
  read(pieces: readonly Buffer[]): Told {
    const { told } = this;
    const isRefused = !pieces.every((piece) => told.ends > 0 || this.push(piece));
    if (isRefused) told.failure = "malformed";
    else if (told.ends === 0 && !this.#reader.connectionEnded()) told.failure = "cut";
    return told;
  }

  head(status: number, headers: AnswerHeaders): void {
    this.#require(this.told.status === null);
    Object.assign(this.told, { status, headers: { ...headers } });
  }

  data(bytes: Buffer): void {
    this.#require(this.told.status !== null && this.told.ends === 0 && bytes.length > 0);
    this.told.body = Buffer.concat([this.told.body, bytes]);
    this.told.pieces += 1;
  }

  end(trailers: AnswerHeaders, keeps: boolean): void {
    this.#require(this.told.status !== null);
    Object.assign(this.told, { trailers: { ...trailers }, keeps, ends: this.told.ends + 1 });
  }

  #require(isInOrder: boolean): void {
    if (!isInOrder) throw new Error("told out of order");
  }
}

/** One answer, and then the end of the connection. */
export const readAlone = (pieces: readonly Buffer[]): Told => {
  const reading = new Reading();
  reading.expect();
  return reading.read(pieces);
};
