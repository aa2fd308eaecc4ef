import type { z } from "zod";
import { CortexError } from "../../core/errors.ts";
import { present } from "../../core/present.ts";
import {
  chatRequestSchema,
  completionRequestSchema,
  embeddingsRequestSchema,
  type ChatRequest,
  type CompletionRequest,
  type EmbeddingsRequest,
} from "./chat.ts";
import { rerankRequestSchema, type RerankRequest } from "./rerank.ts";
import {
  detokenizeRequestSchema,
  tokenizeRequestSchema,
  type DetokenizeRequest,
  type TokenizeRequest,
} from "./tokenize.ts";

/**
 * Reads request bodies with one promise: what would change the answer is honoured or refused by name, never
 * dropped. Three groups of fields beside those of the schema:
 *   - no effect on the answer here: ignored;
 *   - effect that this server cannot give: refused, except at the value that asks for nothing;
 *   - unknown: refused, since nobody can say what it would have changed.
 * `null` means "not given", as OpenAI's clients send it.
 */
export const FIELDS_WITHOUT_EFFECT: readonly string[] = [
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  // The prefix cache is always on and never changes an answer.
  "cache_prompt",
  // A hint for speed alone.
  "prediction",
];

/** Values that ask for nothing; every other value of these fields is refused. */
const NEUTRAL_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  best_of: [1],
  logprobs: [false],
  echo: [false],
  suffix: [""],
  verbosity: ["medium"],
  truncation: ["disabled"],
};

/** Asks for text and nothing more. */
const isTextOnly = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 1 && value[0] === "text";

export const parseChatRequest = (body: unknown): ChatRequest => parseRequest(chatRequestSchema, body);

export const parseCompletionRequest = (body: unknown): CompletionRequest =>
  parseRequest(completionRequestSchema, body);

export const parseEmbeddingsRequest = (body: unknown): EmbeddingsRequest =>
  parseRequest(embeddingsRequestSchema, body);

export const parseTokenizeRequest = (body: unknown): TokenizeRequest =>
  parseRequest(tokenizeRequestSchema, body);

export const parseDetokenizeRequest = (body: unknown): DetokenizeRequest =>
  parseRequest(detokenizeRequestSchema, body);

export const parseRerankRequest = (body: unknown): RerankRequest => parseRequest(rerankRequestSchema, body);

function parseRequest<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new CortexError("invalid_request_body", "the request body is not a JSON object");
  }
  const given = Object.fromEntries(
    Object.entries(body).filter(([field, value]) => value !== null && !FIELDS_WITHOUT_EFFECT.includes(field)),
  );
  if (given["model"] === undefined) {
    throw new CortexError("missing_model_field", "the request names no model", { param: "model" });
  }
  const parsed = schema.safeParse(withoutNeutralFields(given));
  if (parsed.success) return parsed.data;
  throw toRequestError(parsed.error);
}

function withoutNeutralFields(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).filter(([field, value]) => {
      if (field === "modalities" && isTextOnly(value)) return false;
      return NEUTRAL_VALUES[field]?.includes(value) !== true;
    }),
  );
}

function toRequestError(error: z.ZodError): CortexError {
  const issue = error.issues[0];
  if (issue === undefined) return new CortexError("invalid_request_body", "the request body is invalid");
  if (issue.code === "unrecognized_keys") {
    const field = [...issue.path, present(issue.keys[0], "the unrecognized key")].join(".");
    return new CortexError("unsupported_parameter", `this model cannot honour \`${field}\``, {
      param: field,
    });
  }
  const path = issue.path.length === 0 ? "body" : issue.path.join(".");
  return new CortexError("invalid_request_body", `\`${path}\`: ${issue.message}`, { param: path });
}
