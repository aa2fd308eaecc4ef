import type { AnswerMemory } from "./answer-shelf.ts";
import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";

/** One route of a dialect. Everything about it is pure: bytes and connections are `io/`'s. */
export interface DialectRoute {
  /** What clients of the dialect ask. */
  readonly path: string;
  /** What a model is asked instead. */
  readonly upstreamPath: string;
  /** What a stream of the dialect is called; server-sent events where it is not said. */
  readonly streamType?: string;
  /** Throws `invalid_request_body`, `missing_model_field` or `unsupported_parameter`, with the dialect's own field as `param`. */
  translate(body: unknown, identity: AnswerIdentity): TranslatedRequest;
  /**
   * A request that is understood, with a word in the place of what was said: it is small, and answered in the same
   * form. A long request is translated in a thread, and what forms its answer cannot come back from there.
   */
  withoutConversation(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
  readonly errors: DialectErrors;
}

export interface AnswerIdentity {
  /** Another one each time. */
  readonly newId: () => string;
  /** When the request came, since the epoch. */
  readonly nowSecs: number;
  /** Since then. */
  readonly elapsedMs: () => number;
  /** What is kept for whoever asks; absent where nothing is. */
  readonly memory?: AnswerMemory;
}

export interface TranslatedRequest {
  readonly model: string;
  /** What is meant where nothing goes by the name of `model`. */
  readonly otherName?: string;
  /** Where this request is asked, if not where the others of its route are. */
  readonly upstreamPath?: string;
  readonly stream: boolean;
  /** The request's own limit of its answer in tokens, null when it has none. */
  readonly maxOutputTokens: number | null;
  /** How long the model should stay once it is idle; absent where nothing is wished. */
  readonly keepMs?: number;
  /** The answer, where no model is asked. */
  readonly instead?: string;
  /** The OpenAI request, but for its `model`. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly answer: AnswerTranslator;
}

export interface AnswerTranslator {
  /** The dialect's answer out of OpenAI's; throws on what is no answer. */
  whole(answer: unknown): unknown;
  /** The prompt's tokens are known as soon as a model begins to answer, if it tells them at all. */
  stream(promptTokens: () => number | null): StreamTranslator;
}

/** Events of the dialect, as text, out of OpenAI's chunks: called in their order; after `done` or `error` never again. */
export interface StreamTranslator {
  /** Keeps a client of the dialect waiting: before the first chunk, and between chunks. */
  keepAlive(): string;
  chunk(chunk: unknown): string;
  /** `[DONE]` has come. */
  done(): string;
  /** Tells that no more will come; the connection is broken after it. */
  error(envelope: ErrorEnvelope, status: number): string;
}

export interface DialectErrors {
  /** The body of an error answer. */
  body(envelope: ErrorEnvelope, status: number): unknown;
  /** The status by which its clients know the same error. */
  status(status: number): number;
}
