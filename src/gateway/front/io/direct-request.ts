import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import {
  bodyTooLarge,
  bodyTooSlow,
  PACE_WINDOW_MS,
  type BodyLimits,
} from "../../../platform/request-body.ts";
import type { DirectHead } from "../direct-head.ts";
import type { RequestHead } from "./request-head.ts";

const NOTHING = Buffer.alloc(0);

/** A request that did not come through Node's HTTP server, from its head on. */
export class DirectRequest implements RequestHead {
  readonly url: string;
  readonly httpVersion = "1.1";
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  readonly #bodyBytes: number;
  #chunks: Buffer[] = [];
  #received = 0;
  #reader: PromiseWithResolvers<Buffer> | null = null;
  #stopWatching: (() => void) | null = null;
  #isDiscarded = false;

  constructor(head: DirectHead, socket: Socket) {
    this.url = head.url;
    this.headers = head.headers;
    this.socket = socket;
    this.#bodyBytes = head.bodyBytes;
  }

  /** The body has come, or its client has gone. */
  get isComplete(): boolean {
    return this.#received >= this.#bodyBytes;
  }

  /** What of these bytes is not of this request's body. */
  take(bytes: Buffer): Buffer {
    const left = this.#bodyBytes - this.#received;
    const isOwn = bytes.length <= left;
    const own = isOwn ? bytes : bytes.subarray(0, left);
    this.#received += own.length;
    if (!this.#isDiscarded) this.#keep(own);
    if (this.isComplete) this.#whole();
    return isOwn ? NOTHING : bytes.subarray(left);
  }

  /**
   * The whole body, at once where it has come already. Throws what its sender can read and mend; what of it still comes is
   * thrown away then.
   */
  readBody({ maxBytes, minBytesPerSec }: BodyLimits, clock: Clock): Buffer | Promise<Buffer> {
    if (this.#bodyBytes > maxBytes) throw bodyTooLarge(maxBytes);
    if (this.isComplete) return this.#body();
    // It may have left before it was its turn.
    if (this.socket.destroyed) throw leftBeforeWhole();
    this.#reader = Promise.withResolvers<Buffer>();
    if (minBytesPerSec > 0) this.#watchPace(minBytesPerSec, clock);
    return this.#reader.promise;
  }

  /** Nobody reads it: what still comes of it is not kept. */
  discard(): void {
    this.#isDiscarded = true;
    this.#chunks = [];
  }

  connectionGone(): void {
    if (this.isComplete) return;
    this.#refuse(leftBeforeWhole());
  }

  /** Nearly always all of it: a list that grows from nothing would have room for sixteen more. */
  #keep(own: Buffer): void {
    if (this.#chunks.length === 0) this.#chunks = [own];
    else this.#chunks.push(own);
  }

  #whole(): void {
    this.#stopWatching?.();
    this.#reader?.resolve(this.#body());
  }

  #body(): Buffer {
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    return body;
  }

  #refuse(error: CortexError): void {
    this.#stopWatching?.();
    this.#reader?.reject(error);
  }

  /** Window after window: what came fast once must not be a credit for hours of silence. */
  #watchPace(minBytesPerSec: number, clock: Clock): void {
    const before = this.#received;
    this.#stopWatching = clock.alarm(PACE_WINDOW_MS, () => {
      if (this.#received - before >= (minBytesPerSec * PACE_WINDOW_MS) / 1000) {
        this.#watchPace(minBytesPerSec, clock);
      } else this.#refuse(bodyTooSlow(minBytesPerSec));
    });
  }
}

const leftBeforeWhole = (): CortexError =>
  new CortexError("request_incomplete", "the client left before its request was whole");
