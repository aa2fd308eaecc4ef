import { z } from "zod";
import { CortexError, errorDoc, errorKind, isErrorCode, type ErrorCode } from "../core/errors.ts";

/**
 * The one error body on every hop, OpenAI-shaped. `code` is from the error table; extras ride along beside it.
 * Lenient on read, so that a neighbour one version ahead still parses.
 */
export const errorEnvelopeSchema = z.looseObject({
  error: z.looseObject({
    message: z.string(),
    type: z.string(),
    code: z.string().nullish(),
    param: z.string().nullish(),
    next: z.string().nullish(),
    /** Where the documentation has the code. */
    doc: z.string().nullish(),
  }),
});

export type ErrorEnvelope = z.infer<typeof errorEnvelopeSchema>;

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorEnvelope;
}

/** A header that the SDKs of OpenAI and Anthropic obey: without it they try every 5xx again. */
export const SHOULD_RETRY = "x-should-retry";

/** What a failure looks like on the wire. Details never carry secrets: they are chosen where the error is built. */
export function toErrorResponse(error: CortexError): ErrorResponse {
  const kind = errorKind(error.code);
  const headers: Record<string, string> =
    error.retryAfterSecs === undefined
      ? {}
      : { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterSecs))) };
  if (error.isFinal) headers[SHOULD_RETRY] = "false";
  const body = {
    error: {
      ...error.details,
      message: error.message,
      type: kind.type,
      code: error.code,
      param: error.param ?? null,
      next: error.next,
      doc: errorDoc(error.code),
    },
  };
  return { status: kind.httpStatus, headers, body };
}

/**
 * The error of an answer that may not be a neighbour's: other servers write a number for the code, leave the type
 * out, or say a bare text. Null for what is no error in any of these forms, such as a page of HTML.
 */
export function readErrorEnvelope(body: unknown): ErrorEnvelope | null {
  const strict = errorEnvelopeSchema.safeParse(body);
  if (strict.success) return strict.data;
  const lax = foreignErrorSchema.safeParse(body);
  if (!lax.success) return null;
  const { error } = lax.data;
  if (typeof error === "string")
    return { error: { message: error, type: "api_error", code: null, param: null } };
  const { message, type, code, param }: Readonly<Record<string, unknown>> & { message: string } = error;
  return { error: { message, type: word(type) ?? "api_error", code: word(code), param: word(param) } };
}

const word = (value: unknown): string | null =>
  typeof value === "string" || typeof value === "number" ? String(value) : null;

const foreignErrorSchema = z.object({
  error: z.union([z.string(), z.looseObject({ message: z.string() })]),
});

const KNOWN_FIELDS = new Set(["message", "type", "code", "param", "next", "doc"]);

/** Reads a neighbour's error body; what is no envelope becomes `fallback`, with the status in the message. */
export function fromErrorResponse(status: number, body: unknown, fallback: ErrorCode): CortexError {
  const parsed = errorEnvelopeSchema.safeParse(body);
  if (!parsed.success)
    return new CortexError(fallback, `answered with HTTP ${status}`, { details: { status } });
  const { error } = parsed.data;
  const details = Object.fromEntries(Object.entries(error).filter(([field]) => !KNOWN_FIELDS.has(field)));
  return new CortexError(isErrorCode(error.code) ? error.code : fallback, error.message, {
    details: { status, ...details },
    ...(typeof error.next === "string" ? { next: error.next } : {}),
    ...(typeof error.param === "string" ? { param: error.param } : {}),
  });
}
