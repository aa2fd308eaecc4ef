import { z } from "zod";
import { CortexError, errorKind, isErrorCode, type ErrorCode } from "../core/errors.ts";

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
  }),
});

export type ErrorEnvelope = z.infer<typeof errorEnvelopeSchema>;

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorEnvelope;
}

/** What a failure looks like on the wire. Details never carry secrets: they are chosen where the error is built. */
export function toErrorResponse(error: CortexError): ErrorResponse {
  const kind = errorKind(error.code);
  const headers: Record<string, string> =
    error.retryAfterSecs !== undefined
      ? { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterSecs))) }
      : {};
  const body = {
    error: {
      ...error.details,
      message: error.message,
      type: kind.type,
      code: error.code,
      param: error.param ?? null,
      next: error.next,
    },
  };
  return { status: kind.httpStatus, headers, body };
}

const KNOWN_FIELDS = new Set(["message", "type", "code", "param", "next"]);

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
