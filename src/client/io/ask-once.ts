import { createParser } from "eventsource-parser";
import { request } from "undici";
import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import type { ChatAnswer } from "../../protocol/demo-events.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { bearer } from "../../protocol/headers/bearer.ts";

/** The part of a streamed chunk that is shown. */
const shownChunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            tool_calls: z
              .array(
                z.object({
                  index: z.int(),
                  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }),
                }),
              )
              .nullish(),
          })
          .optional(),
      }),
    )
    .default([]),
  usage: z.object({ completion_tokens: z.int(), prompt_tokens: z.int() }).nullish(),
  error: z.unknown().optional(),
});

export interface AskOptions {
  readonly baseUrl: string;
  /** Where the endpoint asks for one. */
  readonly apiKey?: string | undefined;
  /** An OpenAI chat completion request; it is streamed whatever it says. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called with each piece of text as it comes. */
  readonly onText?: (text: string) => void;
}

/** Sends one streamed chat completion as any client would, and measures it. */
export async function askOnce(options: AskOptions): Promise<ChatAnswer> {
  const startedMs = options.clock.monotonicMs();
  const response = await request(`${options.baseUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(options.apiKey) },
    body: JSON.stringify({ ...options.body, stream: true, stream_options: { include_usage: true } }),
    signal: options.signal,
  });
  if (response.statusCode !== 200) {
    throw fromErrorResponse(response.statusCode, await response.body.json(), "upstream_connection_error");
  }
  const answer = new AnswerCollector(options, startedMs);
  const parser = createParser({ onEvent: (event) => answer.feed(event.data) });
  const decoder = new TextDecoder();
  for await (const bytes of response.body) parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
  return answer.finish();
}

class AnswerCollector {
  readonly #options: AskOptions;
  readonly #startedMs: number;
  #text = "";
  readonly #calls: { name: string; arguments: string }[] = [];
  #firstMs: number | undefined;
  #completionTokens = 0;
  #done = false;

  constructor(options: AskOptions, startedMs: number) {
    this.#options = options;
    this.#startedMs = startedMs;
  }

  feed(data: string): void {
    if (data === "[DONE]") {
      this.#done = true;
      return;
    }
    const chunk = shownChunkSchema.parse(JSON.parse(data));
    if (chunk.error !== undefined) throw fromErrorResponse(200, chunk, "upstream_cut_stream");
    if (chunk.usage) this.#completionTokens = chunk.usage.completion_tokens;
    for (const { delta } of chunk.choices) {
      if (delta?.content) this.#addText(delta.content);
      for (const call of delta?.tool_calls ?? []) this.#addCall(call.index, call.function);
    }
  }

  #addText(text: string): void {
    this.#firstMs ??= this.#options.clock.monotonicMs();
    this.#text += text;
    this.#options.onText?.(text);
  }

  #addCall(
    index: number,
    part: { readonly name?: string | null | undefined; readonly arguments?: string | null | undefined },
  ): void {
    this.#firstMs ??= this.#options.clock.monotonicMs();
    const call = (this.#calls[index] ??= { name: "", arguments: "" });
    call.name += part.name ?? "";
    call.arguments += part.arguments ?? "";
  }

  finish(): ChatAnswer {
    if (!this.#done) throw new CortexError("upstream_cut_stream", "the answer ended before it was complete");
    const endedMs = this.#options.clock.monotonicMs();
    const firstMs = this.#firstMs ?? endedMs;
    const decodeSeconds = (endedMs - firstMs) / 1000;
    const decoded = this.#completionTokens - 1;
    return {
      text: this.#text,
      toolCalls: this.#calls,
      firstTokenMs: firstMs - this.#startedMs,
      completionTokens: this.#completionTokens,
      tokensPerSecond: decoded > 0 && decodeSeconds > 0 ? decoded / decodeSeconds : null,
    };
  }
}
