import { HOP_BY_HOP_HEADERS } from "../../protocol/headers/hop-by-hop-headers.ts";
import { USAGE_HEADER } from "../../protocol/headers/usage-header.ts";

/**
 * Which headers cross the gateway. Towards a neuron only the listed ones do: a client's credentials may sit in any
 * header, so an unknown one stays here. `accept-encoding` stays too, since a compressed stream could not be watched
 * for its end.
 */
const FORWARDED_REQUEST_HEADERS = [
  "accept",
  "content-type",
  "user-agent",
  "traceparent",
  "tracestate",
  "baggage",
  "x-include-thinking",
] as const;

/** Of a neuron's answer: cookies, which are for nobody, and the usage, which is for the gateway. */
const KEPT_BACK: ReadonlySet<string> = new Set(["set-cookie", USAGE_HEADER]);

export type HeaderBag = Readonly<Record<string, string | string[] | undefined>>;

export function upstreamRequestHeaders(
  incoming: HeaderBag,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of FORWARDED_REQUEST_HEADERS) {
    const value = incoming[name];
    if (typeof value === "string") headers[name] = value;
  }
  return Object.assign(headers, own);
}

export function clientResponseHeaders(
  upstream: HeaderBag,
  own: Readonly<Record<string, string>>,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const named = upstream["connection"];
  const alsoHop = typeof named === "string" && named !== "keep-alive" ? named.toLowerCase() : "";
  for (const name in upstream) {
    const value = upstream[name];
    if (value === undefined || HOP_BY_HOP_HEADERS.has(name) || KEPT_BACK.has(name)) continue;
    if (alsoHop !== "" && alsoHop.split(",").some((listed) => listed.trim() === name)) continue;
    headers[name] = value;
  }
  return Object.assign(headers, own);
}

/** A client's request id is used as it is when it can be logged and sent without surprises. */
export const isUsableRequestId = (value: unknown): value is string =>
  typeof value === "string" && /^[\w.:/+=@-]{1,128}$/.test(value);
