import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import { openingBytes, openingOf, type Opening } from "../../protocol/openai/conversation-opening.ts";
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
    readonly keepMs: number | null;
    readonly opening: Opening | null;
    /** Where the body names the model: replaced when that was an alias. */
    readonly modelSpans: readonly { readonly start: number; readonly end: number }[];
    readonly isForm: false;
  };
  readonly body: Buffer;
  readonly path: string;
  readonly answer: AnswerTranslator;
  /** The answer, where no model is asked. */
  readonly instead: string | null;
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

/** Bodies up to here take the one thread of the gateway some milliseconds at most; longer ones go to another. */
export const LONG_BODY_BYTES = 128 * 1024;

/** What tools and settings of a long request may take: they are read on the gateway's own thread. */
export const LONGEST_SETTINGS_BYTES = 512 * 1024;

/** A field of OpenAI's, and of no other dialect. */
const cacheKeyOf = (asked: Readonly<Record<string, unknown>>): string | null =>
  typeof asked["prompt_cache_key"] === "string" ? asked["prompt_cache_key"] : null;

const BEGINNING = '{"model":';

/** The request of a dialect as the OpenAI request that is sent. Throws as `DialectRoute.translate` does. */
export function translateBody(route: DialectRoute, body: Buffer, context: TranslationContext): OpenAiRequest {
  refuseDeep(context.depth);
  const parsed = parsedBody(body);
  const translated = route.translate(parsed, context.identity);
  const opening = openingOf(translated.body["messages"]);
  const read = { settings: isRecord(parsed) ? parsed : {}, opening };
  return openAiRequest(route, { translated, others: othersOf(translated), ...read }, context);
}

/** What comes back of a request that was translated elsewhere. */
export interface TranslatedAway {
  /** The OpenAI request without its model and its first brace. */
  readonly others: Uint8Array;
  /** The request without its conversation. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** As much of the conversation's opening as anybody looks at. */
  readonly opening: Uint8Array | null;
}

/** The part of the work that grows with the body. */
export function translateAway(
  route: DialectRoute,
  body: Buffer,
  identity: Omit<AnswerIdentity, "elapsedMs">,
): TranslatedAway {
  const parsed = parsedBody(body);
  const translated = route.translate(parsed, { ...identity, elapsedMs: () => 0 });
  const settings = isRecord(parsed) ? route.withoutConversation(parsed) : {};
  if (JSON.stringify(settings).length > LONGEST_SETTINGS_BYTES) {
    const kib = LONGEST_SETTINGS_BYTES / 1024;
    throw new CortexError(
      "invalid_request_body",
      `what the request has beside its conversation takes more than ${kib} KiB`,
    );
  }
  const opening = openingOf(translated.body["messages"]);
  // A copy: the rest of a long one stays where it was read.
  const seen = opening === null ? undefined : openingBytes(opening);
  return {
    others: othersOf(translated),
    settings,
    opening: seen === undefined ? null : Uint8Array.from(seen),
  };
}

/** The part of it that needs the gateway. */
export function translatedBody(
  route: DialectRoute,
  { others, settings, opening: seen }: TranslatedAway,
  context: TranslationContext,
): OpenAiRequest {
  // What was said is not here, so the answer to it cannot be gone on from.
  const { memory: _memory, ...identity } = context.identity;
  const translated = route.translate(settings, identity);
  const opening =
    seen === null ? null : { bytes: Buffer.from(seen), messages: [{ start: 0, end: seen.length }] };
  return openAiRequest(route, { translated, others, settings, opening }, context);
}

export function refuseDeep(depth: number): void {
  if (depth <= DEEPEST_NESTING) return;
  throw new CortexError(
    "invalid_request_body",
    `the request body is nested deeper than ${DEEPEST_NESTING} levels`,
  );
}

function parsedBody(body: Buffer): unknown {
  const parsed = parseJson(body.toString("utf8"));
  if (parsed === undefined) throw new CortexError("malformed_json", "the request body is not JSON");
  return parsed;
}

const othersOf = ({ body }: TranslatedRequest): Buffer => Buffer.from(JSON.stringify(body).slice(1));

function openAiRequest(
  route: DialectRoute,
  read: {
    readonly translated: TranslatedRequest;
    readonly others: Uint8Array;
    readonly settings: Readonly<Record<string, unknown>>;
    readonly opening: Opening | null;
  },
  { isKnown }: TranslationContext,
): OpenAiRequest {
  const { translated, others, settings, opening } = read;
  const { answer, stream, maxOutputTokens, keepMs, otherName, upstreamPath, instead } = translated;
  const model =
    otherName !== undefined && !isKnown(translated.model) && isKnown(otherName)
      ? otherName
      : translated.model;
  const name = JSON.stringify(model);
  const start = BEGINNING.length;
  // "}" alone: there is nothing else.
  const beginning = Buffer.from(`${BEGINNING}${name}${others.length === 1 ? "" : ","}`);
  return {
    facts: {
      model,
      stream,
      maxOutputTokens,
      answers: 1,
      cacheKey: cacheKeyOf(settings),
      keepMs: keepMs ?? null,
      opening,
      modelSpans: [{ start, end: start + Buffer.byteLength(name) }],
      isForm: false,
    },
    body: Buffer.concat([beginning, others]),
    path: upstreamPath ?? route.upstreamPath,
    answer,
    instead: instead ?? null,
  };
}
