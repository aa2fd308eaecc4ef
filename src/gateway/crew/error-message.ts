import { CortexError, isErrorCode } from "../../core/errors.ts";

/** An error as it goes from one process to another: a thrown value would arrive without its class. */
export interface ErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly next: string;
  readonly param: string | undefined;
  readonly retryAfterSecs: number | undefined;
  readonly isFinal: boolean;
}

export const errorMessage = ({
  code,
  message,
  details,
  next,
  param,
  retryAfterSecs,
  isFinal,
}: CortexError): ErrorMessage => ({ code, message, details, next, param, retryAfterSecs, isFinal });

export function errorOf({ code, message, details, next, param, ...rest }: ErrorMessage): CortexError {
  const retryAfterSecs = rest.isFinal ? null : rest.retryAfterSecs;
  return new CortexError(isErrorCode(code) ? code : "internal_error", message, {
    details,
    next,
    ...(param === undefined ? {} : { param }),
    ...(retryAfterSecs === undefined ? {} : { retryAfterSecs }),
  });
}
