import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { Clock } from "../core/clock.ts";
import { CortexError } from "../core/errors.ts";
import { MIB_BYTES } from "../core/quantities.ts";

export interface BodyLimits {
  /** Largest body, before and after it is inflated. */
  readonly maxBytes: number;
  /** Bytes that must come in each second on average, 0 = any pace. */
  readonly minBytesPerSec: number;
}

/** The pace is looked at after each of these: a short stall is nobody's fault. */
export const PACE_WINDOW_MS = 10_000;

/** How long the rest of a body that was refused is read and thrown away, so that its sender gets to read why. */
const LAST_READ_MS = 5000;

const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ["gzip", () => createGunzip()],
  ["x-gzip", () => createGunzip()],
  ["deflate", () => createInflate()],
  ["br", () => createBrotliDecompress()],
  ["zstd", () => createZstdDecompress()],
]);

export const ACCEPTED_ENCODINGS = "gzip, deflate, br, zstd";

/**
 * The whole body of a request, inflated. Throws what its sender can read and mend; after that the rest of the body is
 * still read for a moment, since a connection that is closed under a sender's hands shows it a reset and no answer.
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits, clock: Clock): Promise<Buffer> {
  try {
    if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes) throw tooLarge(limits);
    const decoder = decoderOf(request.headers["content-encoding"]);
    return await new BodyReading(request, limits, clock).read(decoder);
  } catch (thrown) {
    discardRest(request, clock);
    throw thrown;
  }
}

function decoderOf(encoding: string | undefined): Transform | null {
  const name = encoding?.trim().toLowerCase() ?? "identity";
  if (name === "identity" || name === "") return null;
  const create = DECODERS.get(name);
  if (create !== undefined) return create();
  const message = `the request body is encoded as ${name.slice(0, 60)}`;
  throw new CortexError("unsupported_media_type", message, {
    next: `send it plain, or encoded once as one of ${ACCEPTED_ENCODINGS}`,
  });
}

const tooLarge = ({ maxBytes }: BodyLimits): CortexError => bodyTooLarge(maxBytes);

export const bodyTooLarge = (maxBytes: number): CortexError =>
  new CortexError("body_too_large", `the request body is larger than ${maxBytes / MIB_BYTES} MiB`);

export const bodyTooSlow = (minBytesPerSec: number): CortexError =>
  new CortexError("request_timeout", `the request body came slower than ${minBytesPerSec} bytes a second`);

const nothing = (): void => undefined;

class BodyReading {
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  readonly #clock: Clock;
  readonly #chunks: Buffer[] = [];
  readonly #done = Promise.withResolvers<Buffer>();
  #receivedBytes = 0;
  #inflatedBytes = 0;
  #stopWatching: () => void = nothing;
  #isOver = false;

  constructor(request: IncomingMessage, limits: BodyLimits, clock: Clock) {
    this.#request = request;
    this.#limits = limits;
    this.#clock = clock;
  }

  async read(decoder: Transform | null): Promise<Buffer> {
    const request = this.#request;
    request.on("error", this.#onAborted);
    request.on("close", this.#onAborted);
    if (decoder !== null) {
      request.on("data", this.#onReceived);
      request.pipe(decoder);
      decoder.on("error", this.#onUndecodable);
    }
    const decoded = decoder ?? request;
    decoded.on("data", decoder === null ? this.#onPlain : this.#onData);
    decoded.on("end", this.#onEnd);
    // Most bodies come together with their head: nothing is timed for them.
    queueMicrotask(() => {
      if (!request.complete && !this.#isOver) this.#watchPace(0);
    });
    try {
      return await this.#done.promise;
    } catch (thrown) {
      request.off("data", this.#onReceived).off("data", this.#onPlain).off("end", this.#onEnd);
      request.off("close", this.#onAborted);
      throw thrown;
    } finally {
      this.#isOver = true;
      this.#stopWatching();
      if (decoder !== null) {
        request.off("data", this.#onReceived).unpipe(decoder);
        decoder.off("data", this.#onData).destroy();
      }
    }
  }

  readonly #onReceived = (chunk: Buffer): void => {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > this.#limits.maxBytes) this.#done.reject(tooLarge(this.#limits));
  };

  /** Of a body that is not encoded. */
  readonly #onPlain = (chunk: Buffer): void => {
    this.#receivedBytes += chunk.length;
    this.#onData(chunk);
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#inflatedBytes += chunk.length;
    if (this.#inflatedBytes > this.#limits.maxBytes) this.#done.reject(tooLarge(this.#limits));
    else this.#chunks.push(chunk);
  };

  readonly #onEnd = (): void => {
    const [only] = this.#chunks;
    this.#done.resolve(this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks));
  };

  readonly #onAborted = (): void => {
    // It is closed as well once it is whole; what a decoder holds still comes.
    if (this.#request.complete) return;
    this.#done.reject(new CortexError("request_incomplete", "the client left before its request was whole"));
  };

  readonly #onUndecodable = (thrown: Error): void => {
    const encoding = this.#request.headers["content-encoding"] ?? "";
    const message = `the request body is not what its content-encoding says: ${encoding}`;
    this.#done.reject(new CortexError("malformed_request", message, { cause: thrown }));
  };

  /** Window after window: what came fast once must not be a credit for hours of silence. */
  #watchPace(receivedBefore: number): void {
    const { minBytesPerSec } = this.#limits;
    if (minBytesPerSec === 0) return;
    this.#stopWatching = this.#clock.alarm(PACE_WINDOW_MS, () => {
      const received = this.#receivedBytes;
      if (received - receivedBefore >= (minBytesPerSec * PACE_WINDOW_MS) / 1000) this.#watchPace(received);
      else {
        this.#done.reject(bodyTooSlow(minBytesPerSec));
      }
    });
  }
}

function discardRest(request: IncomingMessage, clock: Clock): void {
  const { socket } = request;
  if (request.complete || request.destroyed || socket.destroyed) return;
  request.on("error", () => undefined);
  request.resume();
  const stop = clock.alarm(LAST_READ_MS, () => socket.destroy());
  request.once("close", stop);
}
