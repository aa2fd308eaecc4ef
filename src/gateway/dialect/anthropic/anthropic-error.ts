import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import type { DialectErrors } from "../contract/dialect.ts";

const TYPE_BY_STATUS: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  409: "api_error",
  413: "request_too_large",
  415: "invalid_request_error",
  422: "invalid_request_error",
  429: "rate_limit_error",
  503: "overloaded_error",
  529: "overloaded_error",
};

/** `code` and what belongs to it ride along: clients of the dialect do not look at them, people do. */
export function anthropicError({ error }: ErrorEnvelope, status: number) {
  const { message, code, next, type: _type, param: _param, ...details } = error;
  return {
    type: "error",
    error: {
      type: TYPE_BY_STATUS[status] ?? "api_error",
      message: code === "context_length_exceeded" ? tooLong(message, details) : message,
      ...(code == null ? {} : { code }),
      ...(next == null ? {} : { next }),
      ...details,
    },
  };
}

/** The words by which agents know that they have to shorten the conversation. */
function tooLong(message: string, details: Readonly<Record<string, unknown>>): string {
  const { prompt_tokens: prompt, max_prompt_tokens: most } = details;
  return typeof prompt === "number" && typeof most === "number"
    ? `prompt is too long: ${prompt} tokens > ${most} maximum`
    : `prompt is too long: ${message}`;
}

export const anthropicErrors: DialectErrors = { body: anthropicError, status: (status) => status };
