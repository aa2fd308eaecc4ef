import { CortexError } from "../../core/errors.ts";

/** From [gateway] of the fleet files. */
export interface EdgePolicy {
  /** Names of this gateway beside those of loopback; `*`: any. */
  readonly hosts: readonly string[];
  /** Origins of web pages that may use it; `*`: any. */
  readonly origins: readonly string[];
}

export interface AskedBy {
  /** The Host header. */
  readonly host: string | undefined;
  /** The Origin header: browsers send it, and pages cannot forge it. */
  readonly origin: string | undefined;
  readonly httpVersion: string;
}

/**
 * Refuses a browser that was led here. A page whose name was made to point to this machine (DNS rebinding) comes with
 * its own name as Host: so only loopback names, addresses, which cannot be rebound, and declared names are taken. A
 * page of another origin is taken when it is declared, or when it comes from this machine itself.
 */
export function refusalOf({ host, origin, httpVersion }: AskedBy, policy: EdgePolicy): CortexError | null {
  if (host === undefined || host === "") {
    if (httpVersion === "1.0") return null;
    return new CortexError("malformed_request", "the request has no Host header");
  }
  const name = hostName(host);
  if (name === null) return new CortexError("malformed_request", "the Host header is no name and no address");
  if (!isOwnName(name, policy.hosts)) {
    return new CortexError("host_not_allowed", `this gateway is not called ${shown(name)}`);
  }
  if (origin === undefined || isOwnPage(origin, host) || mayRead(origin, policy)) return null;
  return new CortexError("origin_not_allowed", `pages of ${shown(origin)} may not use this gateway`);
}

/** What a page is told beside its answer, so that its browser lets it read it; nothing where it is not declared. */
export function corsHeaders(
  origin: string | undefined,
  policy: EdgePolicy,
): Readonly<Record<string, string>> {
  if (origin === undefined || !mayRead(origin, policy)) return NOTHING;
  return {
    "access-control-allow-origin": policy.origins.includes("*") ? "*" : origin,
    "access-control-expose-headers": "x-request-id, x-cortex-neuron, retry-after",
    vary: "origin",
  };
}

/** The same before a request, for methods and headers that a page may not send unasked. */
export function preflightHeaders(
  asked: { readonly origin: string | undefined; readonly headers: string | undefined },
  policy: EdgePolicy,
): Readonly<Record<string, string>> {
  const cors = corsHeaders(asked.origin, policy);
  if (cors === NOTHING) return NOTHING;
  return {
    ...cors,
    "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
    "access-control-allow-headers": asked.headers ?? "authorization, content-type",
    "access-control-max-age": "600",
  };
}

const NOTHING: Readonly<Record<string, string>> = {};

const mayRead = (origin: string, { origins }: EdgePolicy): boolean =>
  origins.includes("*") || origins.includes(origin.toLowerCase());

const isOwnName = (name: string, declared: readonly string[]): boolean =>
  isLoopbackName(name) || isAddress(name) || declared.includes("*") || declared.includes(name);

function isOwnPage(origin: string, host: string): boolean {
  const page = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1];
  if (page === undefined) return false;
  if (page.toLowerCase() === host.toLowerCase()) return true;
  const name = hostName(page);
  return name !== null && (isLoopbackName(name) || LOOPBACK_ADDRESS.test(name));
}

const HOST = /^(\[[0-9a-f:.%]+\]|[a-z0-9_.-]+)(?::\d{1,5})?$/i;
const LOOPBACK_ADDRESS = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;

/** Without port, in lower case, without the dot at the end that stands for the root. */
const hostName = (host: string): string | null =>
  HOST.exec(host)?.[1]?.toLowerCase().replace(/\.$/, "") ?? null;

const isLoopbackName = (name: string): boolean => name === "localhost" || name.endsWith(".localhost");

const isAddress = (name: string): boolean => name.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);

const shown = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}...` : text);
