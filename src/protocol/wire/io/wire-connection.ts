import { connect, type Socket } from "node:net";
import { errors, type buildConnector } from "undici";
import type { Clock } from "../../../core/clock.ts";
import type { AnswerHeaders } from "../answer-head.ts";
import { AnswerReader, type AnswerListener } from "../answer-reader.ts";
import { idleTimeMs } from "../idle-time.ts";

/** What can be done about a call under way. */
export interface CallControl {
  /** Cuts the connection; the handler is told at once, by `onResponseError` with that reason. */
  abort(reason: Error): void;
  /** Nothing more is read until `resume`. What was read already still comes, the end among it. */
  pause(): void;
  resume(): void;
}

/**
 * What a call brings: the first, then either an error or a start, pieces and an end; an error may come after a start too,
 * and is the last. Whoever throws is told of it as of any other error, and loses the connection unless
 * that was free again.
 */
export interface CallHandler {
  onRequestStart(control: CallControl): void;
  onResponseStart(control: CallControl, status: number, headers: AnswerHeaders): void;
  /** All that one read brought of the body. */
  onResponseData(control: CallControl, bytes: Buffer): void;
  onResponseEnd(control: CallControl, trailers: AnswerHeaders): void;
  onResponseError(control: CallControl | null, error: Error): void;
}

export interface Destination {
  readonly hostname: string;
  readonly port: number;
  /** A Unix socket, in place of both. */
  readonly socketPath: string | null;
  /** For what is not plain TCP. */
  readonly connector: buildConnector.connector | null;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
}

/** Whoever keeps the connections is told what becomes of them. */
export interface ConnectionOwner {
  isFree(connection: WireConnection): void;
  isGone(connection: WireConnection): void;
}

/** Whether the other machine is there still is asked after so long a silence; the system's own figure is two hours. */
const PROBE_AFTER_MS = 60_000;
const NOTHING_WAITED_FOR = (): void => undefined;
/** A small body leaves with its head as one text, which Node writes without an object for either. */
const SMALL_BODY_BYTES = 8 * 1024;
/** All connections read into it, one at a time; Node's own way is a new piece of 64 KiB for each read. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** One connection to a neuron, which carries one call at a time. */
export class WireConnection implements AnswerListener {
  readonly #destination: Destination;
  readonly #owner: ConnectionOwner;
  readonly #reader = new AnswerReader(this);
  #socket: Socket | null = null;
  #call: WireCall | null = null;
  #idleMs = 0;
  #unsent: (() => void) | null = null;
  #error: Error | null = null;
  #isGone = false;
  #stopWaiting: () => void = NOTHING_WAITED_FOR;
  /** Not to be used from then on, of the clock's monotonic time. */
  usableUntilMs = 0;

  constructor(destination: Destination, owner: ConnectionOwner) {
    this.#destination = destination;
    this.#owner = owner;
  }

  get isUsable(): boolean {
    return !this.#isGone && this.#destination.clock.monotonicMs() < this.usableUntilMs;
  }

  /** Sends a request: the connection is free. The first one connects it. */
  send(head: string, body: Buffer, handler: CallHandler): void {
    const call = new WireCall(this, handler);
    this.#call = call;
    this.#reader.expect();
    try {
      handler.onRequestStart(call);
      // It may have been aborted right away.
      if (this.#call !== call) return;
      if (this.#socket === null) {
        this.#unsent = () => this.#write(head, body);
        this.#connect();
      } else this.#write(head, body);
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  #connect(): void {
    const { connector } = this.#destination;
    if (connector === null) this.#connectPlainly();
    else this.#connectThrough(connector);
  }

  #write(head: string, body: Buffer): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (body.length <= SMALL_BODY_BYTES) {
      socket.write(head + body.toString("latin1"), "latin1");
      return;
    }
    socket.cork();
    socket.write(head, "latin1");
    socket.write(body);
    socket.uncork();
  }

  #connectPlainly(): void {
    const { hostname: host, port, socketPath, clock, connectTimeoutMs } = this.#destination;
    const place =
      socketPath === null
        ? { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_AFTER_MS }
        : { path: socketPath };
    const socket = connect({
      ...place,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#received(readBuffer, length);
          return true;
        },
      },
    });
    this.#stopWaiting = clock.alarm(connectTimeoutMs, () => {
      this.cut(new errors.ConnectTimeoutError(`no connection within ${connectTimeoutMs} ms`));
    });
    socket.once("connect", () => {
      this.#stopWaiting();
      // It holds its timer for as long as the connection stands.
      this.#stopWaiting = NOTHING_WAITED_FOR;
    });
    this.#adopt(socket);
  }

  #connectThrough(connector: buildConnector.connector): void {
    const { hostname, port } = this.#destination;
    connector({ hostname, host: hostname, port: String(port), protocol: "https:" }, (error, socket) => {
      if (error !== null) this.#ended(error);
      else if (this.#isGone) socket.destroy();
      else {
        socket.on("data", (bytes: Buffer) => {
          this.#received(bytes, bytes.length);
        });
        this.#adopt(socket);
      }
    });
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    if (this.#call?.isPaused === true) socket.pause();
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.once("end", () => {
      if (!this.#reader.connectionEnded()) this.#ended(new errors.SocketError("other side closed"));
    });
    socket.once("close", () => {
      this.#ended(this.#error ?? new errors.SocketError("other side closed"));
    });
    this.#unsent?.();
    this.#unsent = null;
  }

  #received(bytes: Buffer, length: number): void {
    try {
      this.#reader.push(bytes, length);
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  /** What is no answer, or a defect of whoever gets it, ends this connection and no other. */
  #failed(thrown: unknown): void {
    this.#ended(asError(thrown));
  }

  head(status: number, headers: AnswerHeaders): void {
    const call = this.#call;
    if (call === null) return;
    this.#idleMs = idleTimeMs(headers);
    call.handler.onResponseStart(call, status, headers);
  }

  data(bytes: Buffer): void {
    const call = this.#call;
    call?.handler.onResponseData(call, bytes);
  }

  end(trailers: AnswerHeaders, keepsConnection: boolean): void {
    const call = this.#call;
    if (call === null) return;
    this.#call = null;
    if (call.isPaused) this.resume();
    // An answer may come before its request was taken, which then is in the way of the next one.
    const isSent = this.#socket?.writableLength === 0;
    if (keepsConnection && isSent && this.#idleMs > 0) {
      this.usableUntilMs = this.#destination.clock.monotonicMs() + this.#idleMs;
      this.#owner.isFree(this);
    } else this.#ended(null);
    // Not an error of the connection, which may carry the next call already.
    try {
      call.handler.onResponseEnd(call, trailers);
    } catch (thrown) {
      call.handler.onResponseError(call, asError(thrown));
    }
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Ends it at once, and the call on it with that reason. */
  cut(reason: Error): void {
    this.#ended(reason);
  }

  /** Whether it is this call's still. */
  carries(call: WireCall): boolean {
    return this.#call === call;
  }

  #ended(reason: Error | null): void {
    const call = this.#call;
    this.#call = null;
    if (!this.#isGone) {
      this.#isGone = true;
      this.#stopWaiting();
      this.#unsent = null;
      this.#socket?.destroy();
      this.#owner.isGone(this);
    }
    if (call !== null)
      call.handler.onResponseError(call, reason ?? new errors.SocketError("other side closed"));
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** One request on its connection. What is done to it after its end does nothing. */
class WireCall implements CallControl {
  readonly handler: CallHandler;
  readonly #connection: WireConnection;
  isPaused = false;

  constructor(connection: WireConnection, handler: CallHandler) {
    this.#connection = connection;
    this.handler = handler;
  }

  abort(reason: Error): void {
    if (this.#connection.carries(this)) this.#connection.cut(reason);
  }

  pause(): void {
    if (!this.#connection.carries(this)) return;
    this.isPaused = true;
    this.#connection.pause();
  }

  resume(): void {
    if (!this.#connection.carries(this)) return;
    this.isPaused = false;
    this.#connection.resume();
  }
}
