import type { ServerResponse } from "node:http";
import type { Clock } from "../../core/clock.ts";
import { formatUsage, NO_USAGE, USAGE_HEADER, type TokenUsage } from "../../protocol/headers/usage-header.ts";
import { formatTimings, TIMINGS_HEADER, type AnswerTimings } from "../../protocol/headers/timings-header.ts";
import { SSE_KEEP_ALIVE } from "../answer/chat-completion-chunks.ts";

/**
 * An open stream of server-sent events. What is sent within one turn of the event loop leaves as one write, and
 * `ready` holds the sender back while the client does not read.
 */
export interface SseStream {
  send(text: string): void;
  /** Undefined when the client keeps up; else resolves when it does again or is gone. */
  ready(): Promise<void> | undefined;
  /** Ends the stream after what was sent; `usage` and `timings` follow as trailers. */
  end(usage?: TokenUsage, timings?: AnswerTimings): void;
}

const KEEP_ALIVE_MS = 1000;
/** What may wait for a client that reads more slowly than the model writes, before the model waits too. */
const MOST_UNREAD_BYTES = 256 * 1024;
/** A client that reads nothing for so long, while that much waits for it, is gone for all that matters. */
export const STALLED_AFTER_MS = 30_000;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  // Tells nginx and its like not to collect the stream.
  "x-accel-buffering": "no",
  trailer: USAGE_HEADER,
} as const;

/**
 * Sends the headers at once and a comment every second until the first event. A client that stops reading must not
 * hold its slot for ever: its connection is closed, which ends the answer as if it had left.
 */
export function openSseStream(response: ServerResponse, clock: Clock, promptTokens: number): SseStream {
  let unsent = "";
  let scheduled = false;
  let blocked: Promise<void> | undefined;

  response.writeHead(200, { ...HEADERS, [USAGE_HEADER]: formatUsage({ ...NO_USAGE, promptTokens }) });
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  const { write, giveBack } = takeOverChunks(response);
  const keepAlive = setInterval(() => {
    write(SSE_KEEP_ALIVE);
  }, KEEP_ALIVE_MS);
  response.once("close", () => {
    clearInterval(keepAlive);
  });

  const untilReadable = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        response.off("drain", done);
        response.off("close", done);
        blocked = undefined;
        resolve();
      };
      response.on("drain", done);
      response.on("close", done);
    });

  const watch = createStallWatch(response, clock);

  const flush = (): void => {
    scheduled = false;
    if (unsent === "" || response.destroyed) return;
    const text = unsent;
    unsent = "";
    write(text);
    if (blocked !== undefined || response.writableLength <= MOST_UNREAD_BYTES) return;
    blocked = untilReadable();
    watch();
  };

  return {
    send(text) {
      if (text === "") return;
      clearInterval(keepAlive);
      unsent += text;
      if (scheduled) return;
      scheduled = true;
      setImmediate(flush);
    },
    ready: () => blocked,
    end(usage, timings) {
      clearInterval(keepAlive);
      flush();
      giveBack();
      if (usage !== undefined) {
        const told = timings === undefined ? {} : { [TIMINGS_HEADER]: formatTimings(timings) };
        response.addTrailers({ [USAGE_HEADER]: formatUsage(usage), ...told });
      }
      response.end();
      if (response.writableLength > 0) watch();
    },
  };
}

/**
 * The head has announced chunks. They are framed here, so that each is one text and one write: Node makes four of it. The last
 * one and the trailers behind it are Node's again.
 */
function takeOverChunks(response: ServerResponse) {
  const isChunked = response.chunkedEncoding;
  response.chunkedEncoding = false;
  return {
    write: (text: string): void => {
      response.write(isChunked ? frameChunk(text) : text);
    },
    giveBack: (): void => {
      response.chunkedEncoding = isChunked;
    },
  };
}

/** A chunk as it goes over the wire (RFC 9112, 7.1). */
const frameChunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** Bytes that the client's side has taken. */
function delivered({ socket }: ServerResponse): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
}

/** Watches, once at a time, until nothing waits to be read; closes the connection when nothing moves meanwhile. */
function createStallWatch(response: ServerResponse, clock: Clock): () => void {
  const closed = new AbortController();
  response.once("close", () => closed.abort());
  let watching = false;

  const closeWhenStalled = async (): Promise<void> => {
    while (response.writableLength > 0) {
      const before = delivered(response);
      await clock.sleep(STALLED_AFTER_MS, closed.signal);
      if (response.writableLength > 0 && delivered(response) === before) response.destroy();
    }
  };
  return () => {
    if (watching) return;
    watching = true;
    // Ends with the connection, whose end it waits for.
    void closeWhenStalled()
      .catch(() => undefined)
      .finally(() => {
        watching = false;
      });
  };
}
