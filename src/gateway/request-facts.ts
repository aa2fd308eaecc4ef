import { CortexError } from "../core/errors.ts";

/** What routing needs of a request body; the rest belongs to the model. */
export interface RequestFacts {
  readonly model: string;
  readonly stream: boolean;
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
