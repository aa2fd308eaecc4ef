import { createParser } from "eventsource-parser";
import { request } from "undici";
import type { Clock } from "../../../core/clock.ts";
import { withDeadline } from "../../../core/deadline.ts";
import { CortexError } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import type { StreamEnding, StreamEvent } from "../../grammar/stream-grammar.ts";
import type { ConformDialect } from "../conform-dialect.ts";
import type { Arrival, Exchange } from "../judge-exchange.ts";

/** Longer texts of a report would be nobody's to read. */
const SHOWN_TEXT = 200;

export interface ServerUnderTest {
  readonly baseUrl: string;
  readonly dialect: ConformDialect;
  readonly apiKey: string | undefined;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Sent {
  readonly body?: string;
  readonly path?: string;
  /** Whether the answer ought to be a stream. */
  readonly stream?: boolean;
  /** Called with each event as it comes; the client leaves when it says so. */
  readonly leavesAfter?: (events: number) => boolean;
}

/** Sends one request and records all that comes of it. Throws `upstream_connection_error` where none answers. */
export async function exchange(server: ServerUnderTest, sent: Sent): Promise<Exchange> {
  const { clock, baseUrl, timeoutMs, signal: ended } = server;
  const startedMs = clock.monotonicMs();
  const timedOut = () =>
    new CortexError(
      "upstream_connection_error",
      `${baseUrl} did not end its answer within ${timeoutMs / 1000} s`,
    );
  return await withDeadline({ clock, timeoutMs, timedOut, signal: ended }, async (signal) => {
    const response = await ask(server, sent, signal);
    const headMs = clock.monotonicMs() - startedMs;
    const recorder = new StreamRecorder(server, startedMs);
    const isStream = sent.stream === true && response.statusCode === 200;
    const pieces: Buffer[] = [];
    let ending: StreamEnding = "complete";
    try {
      for await (const piece of response.body) {
        if (isStream) recorder.feed(piece as Buffer);
        else pieces.push(piece as Buffer);
        if (sent.leavesAfter?.(recorder.events.length) === true) {
          response.body.destroy();
          break;
        }
      }
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      ending = "broken";
    }
    recorder.end();
    return {
      status: response.statusCode,
      contentType: String(response.headers["content-type"] ?? ""),
      body: Buffer.concat(pieces).toString("utf8"),
      events: recorder.events,
      arrivals: recorder.arrivals,
      ending,
      headMs,
      endMs: clock.monotonicMs() - startedMs,
    };
  });
}

async function ask({ baseUrl, dialect, apiKey }: ServerUnderTest, sent: Sent, signal: AbortSignal) {
  const { body, path = dialect.path } = sent;
  const headers = {
    ...dialect.headers(apiKey),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  try {
    return await request(`${baseUrl}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers,
      signal,
      // The deadline of the whole exchange is the only one: silence is what is measured.
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(body === undefined ? {} : { body }),
    });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    throw new CortexError("upstream_connection_error", `${baseUrl} does not answer ${path}`, {
      cause: thrown,
    });
  }
}

/** Events and comments of a stream with their times. */
class StreamRecorder {
  readonly events: StreamEvent[] = [];
  readonly arrivals: Arrival[] = [];
  readonly #feedText: (text: string) => void;
  readonly #now: () => number;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor({ dialect, clock }: ServerUnderTest, startedMs: number) {
    this.#now = () => clock.monotonicMs() - startedMs;
    const parser = createParser({
      onEvent: ({ event, data }) => {
        this.#event(event, data);
      },
      onComment: (text) => {
        this.#arrived("comment", text);
      },
    });
    this.#feedText =
      dialect.framing === "lines"
        ? (text) => {
            this.#lines(text);
          }
        : (text) => {
            parser.feed(text);
          };
  }

  feed(bytes: Uint8Array): void {
    this.#feedText(this.#decoder.decode(bytes, { stream: true }));
  }

  /** A last line may have no end. */
  end(): void {
    if (this.#rest.trim() !== "") this.#event(undefined, this.#rest);
    this.#rest = "";
  }

  #lines(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#event(undefined, line);
  }

  #event(name: string | undefined, text: string): void {
    this.events.push({ name, text, payload: parseJson(text) });
    this.#arrived("event", name === undefined ? text : `${name} ${text}`);
  }

  #arrived(kind: Arrival["kind"], text: string): void {
    this.arrivals.push({ atMs: this.#now(), kind, text: text.slice(0, SHOWN_TEXT) });
  }
}
