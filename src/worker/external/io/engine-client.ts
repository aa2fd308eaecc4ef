import type { IncomingHttpHeaders } from "node:http";
import { Pool, type Dispatcher } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { parseJson } from "../../../core/json.ts";
import { readTokenFile } from "../../../platform/token-file.ts";
import { readBoundedText } from "../../../protocol/io/bounded-body.ts";

const PROBE_LIMIT_MIB = 8;
/** A probe may be the first thing that an engine computes at all. */
const PROBE_MS = 120_000;
const HEALTH_MS = 10_000;
const FORWARDED_HEADERS = ["content-type", "accept", "x-request-id", "traceparent", "tracestate"] as const;

export interface Answered {
  readonly status: number;
  readonly text: string;
}

/** HTTP to an external engine, with its token where it wants one. */
export class EngineClient {
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #clock: Clock;
  readonly #tokenFile: string | undefined;
  #token: string | undefined;

  private constructor(url: URL, options: { readonly clock: Clock; readonly tokenFile: string | undefined }) {
    this.#pool = new Pool(url.origin, { headersTimeout: 0, bodyTimeout: 0, connectTimeout: HEALTH_MS });
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.#clock = options.clock;
    this.#tokenFile = options.tokenFile;
  }

  /** Throws `token_file_unsafe`. */
  static async open(
    endpoint: string,
    options: { readonly clock: Clock; readonly tokenFile: string | undefined },
  ): Promise<EngineClient> {
    const client = new EngineClient(new URL(endpoint), options);
    await client.readToken();
    return client;
  }

  /** The token may be renewed while the engine runs. */
  async readToken(): Promise<void> {
    if (this.#tokenFile !== undefined) this.#token = await readTokenFile(this.#tokenFile);
  }

  /** Passes a request on; only what the engine needs of its head. */
  send(
    path: string,
    request: { readonly headers: IncomingHttpHeaders; readonly body: Buffer; readonly signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = { ...this.#credentials() };
    for (const name of FORWARDED_HEADERS) {
      const value = request.headers[name];
      if (typeof value === "string") headers[name] = value;
    }
    const { body, signal } = request;
    return this.#pool.request({ method: "POST", path: this.#basePath + path, headers, body, signal });
  }

  /** The status of a `GET`. Throws what the network says. */
  async status(path: string, signal: AbortSignal): Promise<number> {
    const { status } = await this.#ask(path, { timeoutMs: HEALTH_MS, signal });
    return status;
  }

  /** The answer to a small request. Throws what the network says. */
  probe(path: string, signal: AbortSignal, body?: unknown): Promise<Answered> {
    return this.#ask(path, { timeoutMs: PROBE_MS, signal, body });
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #ask(
    path: string,
    how: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly body?: unknown },
  ): Promise<Answered> {
    const { timeoutMs, body } = how;
    return await withDeadline({ clock: this.#clock, timeoutMs, signal: how.signal }, async (signal) => {
      const response = await this.#pool.request({
        method: body === undefined ? "GET" : "POST",
        path: this.#basePath + path,
        headers: {
          ...this.#credentials(),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
      });
      return { status: response.statusCode, text: await readBoundedText(response.body, PROBE_LIMIT_MIB) };
    });
  }

  #credentials(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }
}

/** The JSON of an answer that is one; null for every other. */
export const jsonOf = ({ status, text }: Answered): unknown =>
  status >= 200 && status < 300 ? (parseJson(text) ?? null) : null;
