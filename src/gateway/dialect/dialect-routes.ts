import type { CortexError } from "../../core/errors.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { COUNT_TOKENS_ROUTE, MESSAGES_ROUTE } from "./anthropic/messages-route.ts";
import type { DialectErrors, DialectRoute } from "./contract/dialect.ts";
import { ollamaErrors } from "./ollama/ollama-error.ts";
import { OLLAMA_ROUTES } from "./ollama/ollama-routes.ts";
import { RESPONSES_ROUTE } from "./responses/responses-route.ts";

/** Every route that is translated. */
export const DIALECT_ROUTES: readonly DialectRoute[] = [
  RESPONSES_ROUTE,
  MESSAGES_ROUTE,
  COUNT_TOKENS_ROUTE,
  ...OLLAMA_ROUTES,
];

/** How errors of a route are said; undefined for OpenAI's own. */
function errorsOf(url: string | undefined): DialectErrors | undefined {
  const path = url?.split("?")[0];
  // Also where nothing is asked of a model, and where there is no such route.
  if (path?.startsWith("/api/") === true) return ollamaErrors;
  return DIALECT_ROUTES.find((route) => route.path === path)?.errors;
}

/** An error answer in the dialect of the route that was asked. */
export function dialectErrorResponse(error: CortexError, url?: string) {
  const response = toErrorResponse(error);
  const errors = errorsOf(url);
  if (errors === undefined) return response;
  const { body, status } = response;
  return { ...response, body: errors.body(body, status), status: errors.status(status) };
}
