import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { openingOf, type Opening } from "../../protocol/openai/conversation-opening.ts";
import type {
  AnswerIdentity,
  AnswerTranslator,
  DialectRoute,
  TranslatedRequest,
} from "./contract/dialect.ts";

export interface OpenAiRequest {
  readonly facts: Pick<TranslatedRequest, "model" | "stream" | "maxOutputTokens"> & {
    readonly answers: number;
    readonly cacheKey: string | null;
    readonly opening: Opening | null;
    /** Where the body names the model: replaced when that was an alias. */
    readonly modelSpans: readonly { readonly start: number; readonly end: number }[];
  };
  readonly body: Buffer;
  readonly path: string;
  readonly answer: AnswerTranslator;
}

export interface TranslationContext {
  /** How deep the body is nested. */
  readonly depth: number;
  readonly identity: AnswerIdentity;
  /** Whether something in the fleet goes by a name. */
  readonly isKnown: (model: string) => boolean;
}

/** Deeper than any schema of a tool; what is deeper takes a parser longer than it is worth. */
export const DEEPEST_NESTING = 256;

/** A field of OpenAI's, and of no other dialect. */
const cacheKeyOf = (asked: unknown): string | null =>
  isRecord(asked) && typeof asked["prompt_cache_key"] === "string" ? asked["prompt_cache_key"] : null;

const BEGINNING = '{"model":';

/** The request of a dialect as the OpenAI request that is sent. Throws as `DialectRoute.translate` does. */
export function translateBody(
  route: DialectRoute,
  body: Buffer,
  { depth, identity, isKnown }: TranslationContext,
): OpenAiRequest {
  if (depth > DEEPEST_NESTING) {
    throw new CortexError(
      "invalid_request_body",
      `the request body is nested deeper than ${DEEPEST_NESTING} levels`,
    );
  }
  const parsed = parseJson(body.toString("utf8"));
  if (parsed === undefined) throw new CortexError("malformed_json", "the request body is not JSON");
  const { body: rest, answer, ...asked } = route.translate(parsed, identity);
  const { stream, maxOutputTokens, otherName, upstreamPath } = asked;
  const model =
    otherName !== undefined && !isKnown(asked.model) && isKnown(otherName) ? otherName : asked.model;
  const name = JSON.stringify(model);
  const others = JSON.stringify(rest).slice(1);
  const start = BEGINNING.length;
  return {
    facts: {
      model,
      stream,
      maxOutputTokens,
      answers: 1,
      cacheKey: cacheKeyOf(parsed),
      opening: openingOf(isRecord(rest) ? rest["messages"] : undefined),
      modelSpans: [{ start, end: start + Buffer.byteLength(name) }],
    },
    body: Buffer.from(`${BEGINNING}${name}${others === "}" ? "" : ","}${others}`),
    path: upstreamPath ?? route.upstreamPath,
    answer,
  };
}
