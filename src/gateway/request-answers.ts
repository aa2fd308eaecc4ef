import { CortexError } from "../core/errors.ts";
import type { RequestExplanation, RequestList } from "../protocol/request-explanation.ts";
import { requestExplanation, requestSummary, type RequestMemory } from "./request-record.ts";

const USUAL_LIMIT = 50;
const LARGEST_LIMIT = 500;

/** `GET /fleet/requests?limit=`. Throws `invalid_request_body` for a limit that is none. */
export function latestRequests(query: unknown, memory: RequestMemory): RequestList {
  const requests = memory.latest(limitOf(query)).map(requestSummary);
  return { requests, kept: memory.kept };
}

function limitOf(query: unknown): number {
  const given: unknown =
    typeof query === "object" && query !== null && "limit" in query ? query.limit : undefined;
  if (given === undefined) return USUAL_LIMIT;
  if (typeof given === "string" && /^[1-9]\d{0,5}$/.test(given))
    return Math.min(LARGEST_LIMIT, Number(given));
  throw new CortexError("invalid_request_body", "`limit` is not a number of requests", { param: "limit" });
}

/** `GET /fleet/requests/{id}`. Throws `request_not_found`. */
export function explainedRequest(requestId: string, memory: RequestMemory): RequestExplanation {
  const record = memory.find(requestId);
  if (record !== undefined) return requestExplanation(record);
  const shown = requestId.length > 128 ? `${requestId.slice(0, 128)}...` : requestId;
  throw new CortexError(
    "request_not_found",
    `no request ${shown} among the last ${memory.kept} that this gateway routed`,
  );
}
