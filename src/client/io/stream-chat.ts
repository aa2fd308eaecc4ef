import { createParser } from "eventsource-parser";
import { request } from "undici";
import { z } from "zod";
import { CortexError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import { bearer } from "../../protocol/headers/bearer.ts";
import type { GatewayAccess } from "./ask-gateway.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatQuestion {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly temperature?: number | undefined;
  readonly maxTokens?: number | undefined;
}

/** What comes of a streamed chat completion, piece by piece. */
export type ChatPiece =
  /** The gateway says what is waited for. */
  | { readonly kind: "waiting"; readonly text: string }
  | { readonly kind: "reasoning"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  /** More of the call of that number: of its name, or of its arguments. */
  | { readonly kind: "call"; readonly index: number; readonly name: string; readonly arguments: string }
  | { readonly kind: "finished"; readonly reason: string }
  | { readonly kind: "usage"; readonly prompt: number; readonly completion: number; readonly cached: number };

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            reasoning_content: z.string().nullish(),
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
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: z
    .object({
      prompt_tokens: z.int(),
      completion_tokens: z.int(),
      prompt_tokens_details: z.object({ cached_tokens: z.int().nullish() }).nullish(),
    })
    .nullish(),
  error: z.unknown().optional(),
});

/**
 * Sends a chat completion, streamed whatever its body says, as any client of OpenAI's API would. Aborting cuts the connection, by which the gateway frees the slot at once.
 * Throws the gateway's own error, `upstream_cut_stream` where the answer ends before it is whole, and the signal's reason.
 */
export async function* streamChat(
  { baseUrl, apiKey }: Pick<GatewayAccess, "baseUrl" | "apiKey">,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): AsyncGenerator<ChatPiece, void, undefined> {
  const response = await request(`${baseUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(apiKey) },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
    headersTimeout: 0,
    bodyTimeout: 0,
  }).catch((thrown: unknown) => {
    if (signal.aborted) throw signal.reason;
    throw new CortexError("upstream_connection_error", `${baseUrl} does not answer`, {
      next: "name the gateway with --gateway; `cortex serve` starts one",
      cause: thrown,
    });
  });
  if (response.statusCode !== 200)
    throw fromErrorResponse(response.statusCode, await response.body.json(), "upstream_connection_error");
  const reader = new PieceReader();
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body)
      yield* reader.read(decoder.decode(bytes as Uint8Array, { stream: true }));
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("upstream_cut_stream", "the connection broke off in the answer", { cause: thrown });
  }
  if (!reader.isDone) throw new CortexError("upstream_cut_stream", "the answer ended before it was complete");
}

export const bodyOf = ({ model, messages, temperature, maxTokens }: ChatQuestion) => ({
  model,
  messages,
  ...(temperature === undefined ? {} : { temperature }),
  ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
});

class PieceReader {
  isDone = false;
  #pieces: ChatPiece[] = [];
  readonly #parser = createParser({
    onEvent: ({ data }) => {
      this.#take(data);
    },
    onComment: (text) => {
      if (text.trim() !== "") this.#pieces.push({ kind: "waiting", text: text.trim() });
    },
  });

  read(text: string): readonly ChatPiece[] {
    this.#pieces = [];
    this.#parser.feed(text);
    return this.#pieces;
  }

  #take(data: string): void {
    if (data === "[DONE]") {
      this.isDone = true;
      return;
    }
    const chunk = chunkSchema.safeParse(parseJson(data));
    if (!chunk.success) throw new CortexError("upstream_cut_stream", "the answer has a piece that is none");
    const { usage, error } = chunk.data;
    if (error !== undefined) throw fromErrorResponse(200, chunk.data, "upstream_cut_stream");
    this.#pieces.push(...choicePieces(chunk.data.choices), ...(usage ? [usagePiece(usage)] : []));
  }
}

type Chunk = z.infer<typeof chunkSchema>;

const choicePieces = (choices: Chunk["choices"]): ChatPiece[] =>
  choices.flatMap(({ delta, finish_reason: reason }): ChatPiece[] => [
    ...(delta?.reasoning_content ? [{ kind: "reasoning" as const, text: delta.reasoning_content }] : []),
    ...(delta?.content ? [{ kind: "text" as const, text: delta.content }] : []),
    ...(delta?.tool_calls ?? []).map(({ index, function: part }) => ({
      kind: "call" as const,
      index,
      name: part.name ?? "",
      arguments: part.arguments ?? "",
    })),
    ...(reason ? [{ kind: "finished" as const, reason }] : []),
  ]);

const usagePiece = (usage: NonNullable<Chunk["usage"]>): ChatPiece => ({
  kind: "usage",
  prompt: usage.prompt_tokens,
  completion: usage.completion_tokens,
  cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
});
