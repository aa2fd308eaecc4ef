import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";

/** One route of a dialect. Everything about it is pure: bytes and connections are `io/`'s. */
export interface DialectRoute {
  /** What clients of the dialect ask. */
  readonly path: string;
  /** What a model is asked instead. */
  readonly upstreamPath: string;
  /** Throws `invalid_request_body`, `missing_model_field` or `unsupported_parameter`, with the dialect's own field as `param`. */
  translate(body: unknown, newId: () => string): TranslatedRequest;
  readonly errors: DialectErrors;
}

export interface TranslatedRequest {
  readonly model: string;
  readonly stream: boolean;
  /** The request's own limit of its answer in tokens, null when it has none. */
  readonly maxOutputTokens: number | null;
  /** The OpenAI request, but for its `model`. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly answer: AnswerTranslator;
}

export interface AnswerTranslator {
  /** The dialect's answer out of OpenAI's; throws on what is no answer. */
  whole(answer: unknown): unknown;
  stream(promptTokens: number | null): StreamTranslator;
  /** What keeps a client of the dialect waiting while nothing can be said yet. */
  readonly keepAlive: string;
}

/** Events of the dialect, as text, out of OpenAI's chunks. Methods are called in order, `done` once and last. */
export interface StreamTranslator {
  chunk(chunk: unknown): string;
  /** `[DONE]` has come. */
  done(): string;
}

export interface DialectErrors {
  /** The body of an error answer. */
  body(envelope: ErrorEnvelope, status: number): unknown;
  /** The event that ends a stream. */
  event(envelope: ErrorEnvelope, status: number): string;
}
