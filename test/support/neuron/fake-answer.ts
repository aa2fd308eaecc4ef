import type { ServerResponse } from "node:http";
import {
  formatUsage,
  NO_USAGE,
  USAGE_HEADER,
  type TokenUsage,
} from "../../../src/protocol/headers/usage-header.ts";

export interface ScriptedReply {
  readonly chunks: readonly string[];
  readonly whole: unknown;
  readonly isCut: boolean;
}

/** How the fake answers one inference request. */
export type Answer =
  /** A whole answer, or a stream of the tokens with `[DONE]`, as the request asks. */
  | { readonly kind: "tokens"; readonly tokens: readonly string[]; readonly usage?: TokenUsage }
  /** Streams the tokens (of a whole answer: sends nothing), then waits until `release()` or until the caller leaves. */
  | { readonly kind: "hold"; readonly tokens: readonly string[] }
  /** Streams the tokens, then destroys the connection; `partial` is sent last, as half an event. */
  | { readonly kind: "cut"; readonly tokens: readonly string[]; readonly partial?: string }
  /** Streams the tokens and ends in good order, but without `[DONE]`. */
  | { readonly kind: "unterminated"; readonly tokens: readonly string[] }
  /** Promises a long body, sends a part of it, destroys the connection. */
  | { readonly kind: "cut_body" }
  /** Destroys the connection before any byte. */
  | { readonly kind: "reset" }
  /** Sends nothing at all. */
  | { readonly kind: "hang" }
  /** Keeps the stream alive with a comment, then destroys the connection. */
  | { readonly kind: "reset_after_comment" }
  /** Writes that many events of 64 KiB, as fast as they are taken, then `[DONE]`; `flooded` counts them. */
  | { readonly kind: "flood"; readonly events: number }
  | { readonly kind: "raw_stream"; readonly chunks: readonly string[] }
  | { readonly kind: "status"; readonly status: number; readonly body: unknown }
  /** Streams the tokens and `[DONE]`, but does not end. */
  | { readonly kind: "unending"; readonly tokens: readonly string[] }
  /** What a proxy in front of the neuron says. */
  | { readonly kind: "page"; readonly status: number; readonly body: string; readonly location?: string }
  /** What a script makes of the request's text; a cut one is destroyed after its chunks. */
  | { readonly kind: "scripted"; readonly reply: (body: string) => ScriptedReply };

/** Of a stream only the prompt is known at its beginning. */
export const promptOf = ({ promptTokens }: TokenUsage) => ({
  [USAGE_HEADER]: formatUsage({ ...NO_USAGE, promptTokens }),
});

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(bytes),
  });
  response.end(bytes);
}

export function sendScripted(
  response: ServerResponse,
  { chunks, whole, isCut }: ScriptedReply,
  isStreamed: boolean,
): void {
  if (!isStreamed) {
    sendJson(response, 200, whole);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  if (isCut) response.write(chunks.join(""), () => response.destroy());
  else response.end(chunks.join(""));
}

export function resetAfterComment(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": keep-alive\n\n", () => response.destroy());
}

export function sendPage(
  response: ServerResponse,
  { status, location, body }: Extract<Answer, { readonly kind: "page" }>,
): void {
  response.writeHead(status, {
    "content-type": "text/html",
    ...(location === undefined ? {} : { location }),
  });
  response.end(body);
}
