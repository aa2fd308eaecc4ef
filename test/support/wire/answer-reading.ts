import { expect } from "vitest";
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

  push(piece: Buffer): void {
    const length = piece.copy(this.#shared);
    try {
      this.#reader.push(this.#shared, length);
    } finally {
      // What a reader must not find here, nor may have kept.
      this.#shared.fill("\r\n\r\n0\r\n\r\n");
    }
  }

  /** All of it, until the answer is over or refused; then the connection ends. */
  read(pieces: readonly Buffer[]): Told {
    const { told } = this;
    try {
      for (const piece of pieces) {
        if (told.ends > 0) break;
        this.push(piece);
      }
    } catch (thrown) {
      if (!(thrown instanceof MalformedAnswer)) throw thrown;
      told.failure = "malformed";
      return told;
    }
    if (told.ends === 0 && !this.#reader.connectionEnded()) told.failure = "cut";
    return told;
  }

  head(status: number, headers: AnswerHeaders): void {
    expect(this.told.status).toBeNull();
    Object.assign(this.told, { status, headers: { ...headers } });
  }

  data(bytes: Buffer): void {
    expect(this.told.status).not.toBeNull();
    expect(this.told.ends).toBe(0);
    expect(bytes.length).toBeGreaterThan(0);
    this.told.body = Buffer.concat([this.told.body, bytes]);
    this.told.pieces += 1;
  }

  end(trailers: AnswerHeaders, keeps: boolean): void {
    expect(this.told.status).not.toBeNull();
    Object.assign(this.told, { trailers: { ...trailers }, keeps, ends: this.told.ends + 1 });
  }
}

/** One answer, and then the end of the connection. */
export const readAlone = (pieces: readonly Buffer[]): Told => {
  const reading = new Reading();
  reading.expect();
  return reading.read(pieces);
};
