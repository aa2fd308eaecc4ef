import { CortexError } from "../core/errors.ts";

/** What routing needs of a request body; the rest belongs to the model. */
export interface RequestFacts {
  readonly model: string;
  readonly stream: boolean;
}

/**
 * Only JSON by name. A web page may send other types to a local port without asking, so a gateway that took them
 * would work for every page that its operator visits.
 */
export function requireJsonType(contentType: string | undefined): void {
  if (contentType !== undefined && /^application\/json\s*(?:;|$)/i.test(contentType)) return;
  const got = contentType === undefined || contentType === "" ? "without a type" : `as ${contentType}`;
  throw new CortexError("unsupported_media_type", `the request body came ${got}; it must be JSON`);
}

/** Reads the facts from the parsed body of an OpenAI-shaped request. */
export function readRequestFacts(body: unknown): RequestFacts {
  if (body === undefined) throw new CortexError("malformed_json", "the request has no body");
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new CortexError("invalid_request_body", "the request body is not a JSON object");
  }
  const model: unknown = "model" in body ? body.model : undefined;
  if (model === undefined || model === null || model === "") {
    throw new CortexError("missing_model_field", "the request names no model", { param: "model" });
  }
  if (typeof model !== "string") {
    throw new CortexError("invalid_request_body", "`model` is not a string", { param: "model" });
  }
  return { model, stream: "stream" in body && body.stream === true };
}
