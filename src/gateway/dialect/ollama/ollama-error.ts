import type { ErrorEnvelope } from "../../../protocol/error-envelope.ts";
import type { DialectErrors } from "../contract/dialect.ts";

/** `error` is a text to clients of the dialect; what else is known stands beside it. */
export function errorBody({ error }: ErrorEnvelope): Readonly<Record<string, unknown>> {
  const { message, type: _type, code, param, next, ...details } = error;
  return {
    error: message,
    ...(code == null ? {} : { code }),
    ...(param == null ? {} : { param }),
    ...(next == null ? {} : { next }),
    ...details,
  };
}

export const ollamaErrors: DialectErrors = { body: errorBody, status: (status) => status };
