import type { ChatResult } from "./conversation.ts";

/** Pieces of an answer, as the client of the endpoint tells them. */
export type AnswerPiece =
  | { readonly kind: "waiting"; readonly text: string }
  | { readonly kind: "reasoning" | "text"; readonly text: string }
  | { readonly kind: "finished"; readonly reason: string }
  | { readonly kind: "usage"; readonly prompt: number; readonly completion: number; readonly cached: number };

/** Adds an answer up while it comes. */
export class AnswerTally {
  readonly #model: string;
  readonly #startedMs: number;
  #text = "";
  #reasoning = "";
  #firstMs: number | null = null;
  #lastMs: number;
  #reason: string | null = null;
  #usage: Extract<AnswerPiece, { kind: "usage" }> | null = null;

  constructor(model: string, nowMs: number) {
    this.#model = model;
    this.#startedMs = nowMs;
    this.#lastMs = nowMs;
  }

  get text(): string {
    return this.#text;
  }

  add(piece: AnswerPiece, nowMs: number): void {
    if (piece.kind === "finished") this.#reason = piece.reason;
    if (piece.kind === "usage") this.#usage = piece;
    if (piece.kind !== "text" && piece.kind !== "reasoning") return;
    this.#firstMs ??= nowMs;
    this.#lastMs = nowMs;
    if (piece.kind === "text") this.#text += piece.text;
    else this.#reasoning += piece.text;
  }

  end(nowMs: number, isCancelled: boolean): ChatResult {
    const { prompt = null, completion = null, cached = null } = this.#usage ?? {};
    return {
      model: this.#model,
      answer: this.#text,
      reasoning: this.#reasoning,
      finish_reason: isCancelled ? "cancelled" : this.#reason,
      prompt_tokens: prompt,
      completion_tokens: completion,
      cached_tokens: cached,
      first_token_ms: this.#firstMs === null ? null : Math.round(this.#firstMs - this.#startedMs),
      duration_ms: Math.round(nowMs - this.#startedMs),
      tokens_per_sec: this.#speed(completion),
    };
  }

  /** The first token is there when the decoding of the others begins. */
  #speed(completion: number | null): number | null {
    const decodeMs = this.#lastMs - (this.#firstMs ?? this.#lastMs);
    const decoded = (completion ?? 0) - 1;
    return decoded > 0 && decodeMs > 0 ? Math.round((decoded / decodeMs) * 10_000) / 10 : null;
  }
}
