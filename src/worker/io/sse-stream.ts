import type { ServerResponse } from "node:http";
import { SSE_KEEP_ALIVE } from "../answer/chat-completion-chunks.ts";

/**
 * An open stream of server-sent events. What is sent within one turn of the event loop leaves as one write, and
 * `ready` holds the sender back while the client does not read.
 */
export interface SseStream {
  send(text: string): void;
  /** Undefined when the client keeps up; else resolves when it does again or is gone. */
  ready(): Promise<void> | undefined;
  /** Ends the stream after what was sent. */
  end(): void;
}

const KEEP_ALIVE_MS = 1000;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  // Tells nginx and its like not to collect the stream.
  "x-accel-buffering": "no",
} as const;

/** Sends the headers at once and a comment every second until the first event. */
export function openSseStream(response: ServerResponse): SseStream {
  let unsent = "";
  let scheduled = false;
  let blocked: Promise<void> | undefined;

  response.writeHead(200, HEADERS);
  response.flushHeaders();
  response.socket?.setNoDelay(true);
  const keepAlive = setInterval(() => {
    response.write(SSE_KEEP_ALIVE);
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

  const flush = (): void => {
    scheduled = false;
    if (unsent === "" || response.destroyed) return;
    const text = unsent;
    unsent = "";
    if (!response.write(text)) blocked ??= untilReadable();
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
    end() {
      clearInterval(keepAlive);
      flush();
      response.end();
    },
  };
}
