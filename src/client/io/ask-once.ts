import type { Clock } from "../../core/clock.ts";
import type { ChatAnswer } from "../../protocol/demo-events.ts";
import { type ChatPiece, streamChat } from "./stream-chat.ts";

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

/** Sends one streamed chat completion as any client would, and measures it. Throws what `streamChat` throws. */
export async function askOnce(options: AskOptions): Promise<ChatAnswer> {
  const { baseUrl, apiKey, body, signal } = options;
  const answer = new AnswerCollector(options);
  for await (const piece of streamChat({ baseUrl, apiKey }, body, signal)) answer.take(piece);
  return answer.finish();
}

class AnswerCollector {
  readonly #options: AskOptions;
  readonly #startedMs: number;
  #text = "";
  readonly #calls: { name: string; arguments: string }[] = [];
  #firstMs: number | undefined;
  #completionTokens = 0;

  constructor(options: AskOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
  }

  take(piece: ChatPiece): void {
    if (piece.kind === "usage") this.#completionTokens = piece.completion;
    if (piece.kind !== "text" && piece.kind !== "call") return;
    this.#firstMs ??= this.#options.clock.monotonicMs();
    if (piece.kind === "text") {
      this.#text += piece.text;
      this.#options.onText?.(piece.text);
      return;
    }
    const call = (this.#calls[piece.index] ??= { name: "", arguments: "" });
    call.name += piece.name;
    call.arguments += piece.arguments;
  }

  finish(): ChatAnswer {
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
