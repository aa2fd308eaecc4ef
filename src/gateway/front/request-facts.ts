import { CortexError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import type { Span, TopLevelFields } from "../../protocol/openai/body-scan.ts";
import { modelSpansOfForm } from "../../protocol/openai/form-body.ts";
import { replaceBytes, replaceValues } from "../../protocol/openai/replace-values.ts";
import type { Opening } from "../../protocol/openai/conversation-opening.ts";

/** What routing needs of a request body; the rest belongs to the model. */
export interface RequestFacts {
  readonly model: string;
  readonly stream: boolean;
  /** The request's own limit of its answer in tokens, null when it has none. */
  readonly maxOutputTokens: number | null;
  /** How many answers it asks for: `n` for each prompt. */
  readonly answers: number;
  /** The body's `prompt_cache_key`. */
  readonly cacheKey: string | null;
  /** How long its client wishes the model to stay once it is idle; null: nothing is wished. */
  readonly keepMs: number | null;
  /** How the conversation begins. */
  readonly opening: Opening | null;
  /** Where the body names the model: replaced when that was an alias. */
  readonly modelSpans: readonly Span[];
  /** The body is a form, in which values stand as they are. */
  readonly isForm: boolean;
}

/** The body with another name for its model; every other byte stays. */
export const renamed = (body: Buffer, { modelSpans, isForm }: RequestFacts, model: string): Buffer =>
  isForm ? replaceBytes(body, modelSpans, Buffer.from(model)) : replaceValues(body, modelSpans, model);

/** The facts of a form, which has sounds or pictures in it. Throws `invalid_request_body` and `missing_model_field`. */
export function readFormFacts(body: Buffer, contentType: string): RequestFacts {
  const modelSpans = modelSpansOfForm(body, contentType);
  const span = modelSpans.at(-1);
  const model = span === undefined ? "" : body.toString("utf8", span.start, span.end);
  if (model === "" || model.length > LONGEST_MODEL_BYTES) {
    throw new CortexError("missing_model_field", "the form names no model", { param: "model" });
  }
  return { ...NO_TEXT, model, modelSpans, isForm: true };
}

/** What is not written by tokens: it is one answer, as it comes. */
const NO_TEXT = {
  stream: false,
  maxOutputTokens: null,
  answers: 1,
  cacheKey: null,
  keepMs: null,
  opening: null,
} as const;

/** The facts of a request in JSON for a sound or a picture. */
export const readMediaFacts = (body: Buffer, fields: TopLevelFields): RequestFacts => {
  const { model, modelSpans } = readRequestFacts(body, fields);
  return { ...NO_TEXT, model, modelSpans, isForm: false };
};

/** A name is an id of 256 characters at most; nothing longer is worth being read. */
const LONGEST_MODEL_BYTES = 4096;
const LONGEST_COUNT_BYTES = 20;

/**
 * Only JSON by name. A web page may send other types to a local port without asking, so a gateway that took them
 * would work for every page that its operator visits.
 */
export function requireJsonType(contentType: string | undefined): void {
  if (contentType !== undefined && /^application\/json\s*(?:;|$)/i.test(contentType)) return;
  const got = contentType === undefined || contentType === "" ? "without a type" : `as ${contentType}`;
  throw new CortexError("unsupported_media_type", `the request body came ${got}; it must be JSON`);
}

/** The facts of an OpenAI-shaped request, from what was found at the top level of its body. */
export function readRequestFacts(body: Buffer, fields: TopLevelFields): RequestFacts {
  if (!fields.isObject) {
    throw new CortexError("invalid_request_body", "the request body is not a JSON object");
  }
  return {
    model: modelOf(body, fields),
    stream: isTrue(body, fields.stream),
    maxOutputTokens: countIn(body, fields.max_completion_tokens) ?? countIn(body, fields.max_tokens),
    answers: (countIn(body, fields.n) ?? 1) * Math.max(1, fields.prompts),
    cacheKey: cacheKeyIn(body, fields.prompt_cache_key),
    keepMs: null,
    opening: openingIn(body, fields),
    modelSpans: fields.models,
    isForm: false,
  };
}

/** Of a prompt that goes on as it grows, the part that is there from the first turn. */
const PROMPT_OPENING_BYTES = 256;

function openingIn(bytes: Buffer, { messages, prompt }: TopLevelFields): Opening | null {
  if (messages.length > 0) return { bytes, messages };
  if (prompt === null) return null;
  const { start, end } = prompt;
  return { bytes, messages: [{ start, end: Math.min(end, start + PROMPT_OPENING_BYTES) }] };
}

function cacheKeyIn(body: Buffer, span: Span | null): string | null {
  if (span === null || span.end - span.start > LONGEST_MODEL_BYTES) return null;
  const key = parseJson(body.toString("utf8", span.start, span.end));
  return typeof key === "string" ? key : null;
}

/** What is no count is for the model to refuse. */
function countIn(body: Buffer, span: Span | null): number | null {
  if (span === null || span.end - span.start > LONGEST_COUNT_BYTES) return null;
  const count = parseJson(body.toString("latin1", span.start, span.end));
  return typeof count === "number" && Number.isSafeInteger(count) && count > 0 ? count : null;
}

function modelOf(body: Buffer, { models }: TopLevelFields): string {
  const span = models.at(-1);
  const model = span === undefined ? undefined : smallValue(body, span);
  if (model === undefined || model === null || model === "") {
    throw new CortexError("missing_model_field", "the request names no model", { param: "model" });
  }
  if (typeof model !== "string") {
    throw new CortexError("invalid_request_body", "`model` is not a string", { param: "model" });
  }
  return model;
}

function smallValue(body: Buffer, { start, end }: Span): unknown {
  if (end - start > LONGEST_MODEL_BYTES) {
    const message = `\`model\` is longer than ${LONGEST_MODEL_BYTES} bytes`;
    throw new CortexError("invalid_request_body", message, { param: "model" });
  }
  const value = parseJson(body.toString("utf8", start, end));
  if (value !== undefined) return value;
  throw new CortexError("malformed_json", "the request body is not JSON: `model` cannot be read");
}

const isTrue = (body: Buffer, span: Span | null): boolean =>
  span !== null && span.end - span.start === 4 && body.toString("latin1", span.start, span.end) === "true";
