import { CortexError } from "../core/errors.ts";
import type { RequestExplanation, RequestList } from "../protocol/request-explanation.ts";
import type { RequestReports } from "./request-reports.ts";

const USUAL_LIMIT = 50;
const LARGEST_LIMIT = 500;

/** `GET /fleet/requests?limit=`. Throws `invalid_request_body` for a limit that is none. */
export async function latestRequests(query: unknown, reports: RequestReports): Promise<RequestList> {
  const requests = [...(await reports.latest(limitOf(query)))];
  return { requests, kept: reports.kept };
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
export async function explainedRequest(
  requestId: string,
  reports: RequestReports,
): Promise<RequestExplanation> {
  const explained = await reports.explained(requestId);
  if (explained !== null) return explained;
  const shown = requestId.length > 128 ? `${requestId.slice(0, 128)}...` : requestId;
  throw new CortexError(
    "request_not_found",
    `no request ${shown} among the last ${reports.kept} that this gateway routed`,
  );
}
