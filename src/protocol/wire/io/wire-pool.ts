import { errors, type buildConnector } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { constantLines, requestHead, type ConstantLines } from "../request-head.ts";
import {
  WireConnection,
  type CallHandler,
  type ConnectionOwner,
  type Destination,
} from "./wire-connection.ts";

export interface WirePoolOptions {
  readonly clock: Clock;
  readonly connectTimeoutMs?: number | undefined;
  /** For an https origin: makes a connection. */
  readonly connector?: buildConnector.connector | null;
  /** Where the origin is a name only: a Unix socket. */
  readonly socketPath?: string;
  /** Sent with each request, in place of what that says of the same. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WireCallRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/**
 * POST requests to one origin, over as many connections as there are requests at a time; the one that was used last is
 * used next, so that those too many lie idle and end. An idle one ends before its other side would end it.
 */
export class WirePool implements ConnectionOwner {
  readonly #destination: Destination;
  readonly #constant: ConstantLines;
  readonly #idle: WireConnection[] = [];
  readonly #open = new Set<WireConnection>();
  #closed: "no" | "closed" | "destroyed" = "no";
  #whenEmpty: (() => void)[] = [];
  #stopSweeping: (() => void) | null = null;

  /** Throws `TypeError` for headers that would end a line early. */
  constructor(origin: URL, options: WirePoolOptions) {
    const { clock, connectTimeoutMs, connector = null, socketPath = null, headers = {} } = options;
    this.#destination = {
      // Without the brackets of an IPv6 address.
      hostname: origin.hostname.replace(/^\[|\]$/g, ""),
      port: origin.port === "" ? (DEFAULT_PORTS[origin.protocol] ?? 80) : Number(origin.port),
      connector,
      socketPath,
      clock,
      connectTimeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    };
    this.#constant = constantLines(origin.host, headers);
  }

  /** Throws `TypeError` for a path or header that would end a line early. */
  dispatch({ path, headers, body }: WireCallRequest, handler: CallHandler): void {
    const head = requestHead({ path, headers, constant: this.#constant }, body.length);
    if (this.#closed !== "no") {
      const { ClientClosedError, ClientDestroyedError } = errors;
      handler.onResponseError(
        null,
        this.#closed === "closed" ? new ClientClosedError() : new ClientDestroyedError(),
      );
      return;
    }
    this.#free().send(head, body, handler);
  }

  #free(): WireConnection {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isUsable) return idle;
      idle.cut(new Error("idle for too long"));
    }
    const fresh = new WireConnection(this.#destination, this);
    this.#open.add(fresh);
    return fresh;
  }

  isFree(connection: WireConnection): void {
    if (this.#closed !== "no") {
      connection.cut(new errors.ClientClosedError());
      return;
    }
    this.#idle.push(connection);
    this.#sweepLater();
  }

  isGone(connection: WireConnection): void {
    this.#open.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#open.size > 0) return;
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const resolve of waiting) resolve();
  }

  /** Those that have lain longest are at the front. */
  #sweepLater(): void {
    const [first] = this.#idle;
    if (first === undefined || this.#stopSweeping !== null) return;
    const { clock } = this.#destination;
    this.#stopSweeping = clock.alarm(Math.max(1, first.usableUntilMs - clock.monotonicMs()), () => {
      this.#stopSweeping = null;
      for (const idle of this.#idle.filter(({ isUsable }) => !isUsable))
        idle.cut(new Error("idle for too long"));
      this.#sweepLater();
    });
  }

  /** Takes no more calls; resolves when the last one under way has ended. */
  async close(): Promise<void> {
    if (this.#closed === "no") this.#closed = "closed";
    this.#endIdle(new errors.ClientClosedError());
    await this.#empty();
  }

  /** Cuts whatever is still open. */
  async destroy(): Promise<void> {
    this.#closed = "destroyed";
    const reason = new errors.ClientDestroyedError();
    for (const connection of this.#open) connection.cut(reason);
    this.#endIdle(reason);
    await this.#empty();
  }

  #endIdle(reason: Error): void {
    this.#stopSweeping?.();
    this.#stopSweeping = null;
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) idle.cut(reason);
  }

  async #empty(): Promise<void> {
    if (this.#open.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty.push(resolve);
    await promise;
  }
}
