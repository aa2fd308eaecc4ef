import type { Socket } from "node:net";
import { MOST_HEAD_BYTES, readDirectHead } from "../direct-head.ts";
import { DirectRequest } from "./direct-request.ts";
import { DirectResponse } from "./direct-response.ts";

/** Whoever keeps the connections, and answers what comes on them. */
export interface DirectService {
  readonly dateLine: () => string;
  readonly keepAliveLine: string;
  /** Takes no more requests: a connection ends after its answer. */
  readonly isClosing: () => boolean;
  readonly nowMs: () => number;
  /** Calls back after a while, unless the returned function is called. */
  readonly alarm: (durationMs: number, ring: () => void) => () => void;
  /** Serves a request at this URL; false: it is not one that is served here, and nothing has been done. */
  serve(request: DirectRequest, response: DirectResponse): boolean;
  readonly leaveToNode: (socket: Socket) => void;
  isGone(connection: DirectConnection): void;
}

type State =
  /** For the head of a request. */
  | "waiting"
  /** Its body may still come. */
  | "answering"
  /** The answer has been sent before the body was whole, which is thrown away. */
  | "discarding"
  | "left-to-node"
  | "gone";

const BLANK_LINE = Buffer.from("\r\n\r\n");
/** What a client may have sent ahead before nothing more is read. */
const MOST_AHEAD_BYTES = 64 * 1024;
/** What a piece takes beside its bytes, at least: else a client could send them one by one. */
const PIECE_COST_BYTES = 1024;
/** How long the rest of a body that was refused is read, so that its sender gets to read why. */
const LAST_READ_MS = 5000;

/**
 * A connection of a client, as long as what comes on it are requests of the plain kind for models, one after the other. At
 * the first that is something else, or that is not all there, it is left to Node's HTTP server for good, with the bytes
 * that were read of it.
 */
export class DirectConnection {
  readonly #socket: Socket;
  readonly #service: DirectService;
  #state: State = "waiting";
  #request: DirectRequest | null = null;
  #response: DirectResponse | null = null;
  /** Of requests that came before the answer to the one before. */
  #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #stopLastRead: (() => void) | null = null;
  /** A request has been answered on it. */
  #isProven = false;
  #waitsSinceMs: number;

  constructor(socket: Socket, service: DirectService) {
    this.#socket = socket;
    this.#service = service;
    this.#waitsSinceMs = service.nowMs();
    socket.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose).on("error", ignore);
  }

  /** How long it has waited for a request; null where it does not wait. */
  waitingMs(nowMs: number): { readonly ms: number; readonly isProven: boolean } | null {
    return this.#state === "waiting" ? { ms: nowMs - this.#waitsSinceMs, isProven: this.#isProven } : null;
  }

  /** Node's server has a time limit for whoever says nothing. */
  leaveToNode(): void {
    this.#leave(null);
  }

  endIfIdle(): void {
    if (this.#state === "waiting") this.#socket.destroy();
  }

  readonly #onData = (bytes: Buffer): void => {
    switch (this.#state) {
      case "waiting":
        if (this.#ahead.length === 0) this.#begin(bytes);
        else this.#keepAhead(bytes);
        return;
      case "answering":
        this.#answering(bytes);
        return;
      case "discarding":
        this.#discard(bytes);
        return;
      case "left-to-node":
      case "gone":
    }
  };

  #begin(bytes: Buffer): void {
    const end = bytes.indexOf(BLANK_LINE);
    const head = end < 0 || end > MOST_HEAD_BYTES ? null : readDirectHead(bytes.toString("latin1", 0, end));
    if (head === null) {
      this.#leave(bytes);
      return;
    }
    const socket = this.#socket;
    const { dateLine, keepAliveLine } = this.#service;
    const request = new DirectRequest(head, socket);
    const response = new DirectResponse({
      socket,
      closes: head.closes,
      dateLine,
      keepAliveLine,
      onFinished: this.#onFinished,
      onHeldUp: this.#onHeldUp,
    });
    const rest = request.take(bytes.subarray(end + BLANK_LINE.length));
    this.#state = "answering";
    this.#request = request;
    this.#response = response;
    if (!this.#service.serve(request, response)) {
      this.#state = "waiting";
      this.#request = null;
      this.#response = null;
      this.#leave(bytes);
    } else if (rest.length > 0) this.#keepAhead(rest);
  }

  #answering(bytes: Buffer): void {
    const request = this.#request;
    const rest = request === null || request.isComplete ? bytes : request.take(bytes);
    if (request?.isComplete === true) this.#endLastRead();
    if (rest.length > 0) this.#keepAhead(rest);
  }

  #keepAhead(bytes: Buffer): void {
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes.length + PIECE_COST_BYTES;
    if (this.#aheadBytes > MOST_AHEAD_BYTES) this.#socket.pause();
    // What is refused by its head has been answered by now.
    if (this.#state === "waiting") process.nextTick(this.#takeUpAhead);
  }

  readonly #onHeldUp = (): void => {
    if (this.#request?.isComplete === false) this.#giveUpBody(this.#request);
  };

  /** Its answer was given without it. */
  #giveUpBody(request: DirectRequest): void {
    request.discard();
    this.#stopLastRead ??= this.#service.alarm(LAST_READ_MS, () => this.#socket.destroy());
  }

  #endLastRead(): void {
    this.#stopLastRead?.();
    this.#stopLastRead = null;
  }

  readonly #onFinished = (mayGoOn: boolean): void => {
    if (this.#state !== "answering") return;
    const request = this.#request;
    this.#response = null;
    this.#isProven = true;
    const goesOn = mayGoOn && !this.#service.isClosing();
    if (request !== null && !request.isComplete) {
      this.#giveUpBody(request);
      this.#state = "discarding";
      if (!goesOn) this.#socket.end();
      return;
    }
    this.#request = null;
    if (goesOn) this.#waitAgain();
    else this.#socket.destroySoon();
  };

  #discard(bytes: Buffer): void {
    const request = this.#request;
    const rest = request === null ? bytes : request.take(bytes);
    if (request !== null && !request.isComplete) return;
    this.#endLastRead();
    this.#request = null;
    if (this.#socket.writableEnded) {
      this.#socket.destroy();
      return;
    }
    this.#waitAgain();
    if (rest.length > 0) this.#keepAhead(rest);
  }

  #waitAgain(): void {
    this.#state = "waiting";
    this.#waitsSinceMs = this.#service.nowMs();
    if (this.#ahead.length > 0) process.nextTick(this.#takeUpAhead);
  }

  readonly #takeUpAhead = (): void => {
    if (this.#state !== "waiting" || this.#ahead.length === 0) return;
    const bytes = Buffer.concat(this.#ahead);
    this.#ahead = [];
    this.#aheadBytes = 0;
    this.#socket.resume();
    this.#begin(bytes);
  };

  #leave(bytes: Buffer | null): void {
    const socket = this.#socket;
    if (this.#state !== "waiting" || socket.destroyed || socket.writableEnded) return;
    this.#state = "left-to-node";
    socket.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose).off("error", ignore);
    socket.pause();
    if (bytes !== null) socket.unshift(bytes);
    this.#service.isGone(this);
    this.#service.leaveToNode(socket);
    socket.resume();
  }

  /** A client that says no more is taken for one that has left, as Node's server takes it. */
  readonly #onEnd = (): void => {
    this.#socket.destroySoon();
  };

  readonly #onClose = (): void => {
    this.#state = "gone";
    this.#endLastRead();
    this.#service.isGone(this);
    this.#request?.connectionGone();
    this.#response?.connectionGone();
  };
}

const ignore = (): void => undefined;
