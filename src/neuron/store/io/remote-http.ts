import { Agent, request } from "undici";
import { isLoopback } from "../../../core/addresses.ts";
import type { AnswerHead } from "../http-answer.ts";

/** An open answer: its body is read, or `discard` is called. */
export interface RemoteAnswer extends AnswerHead {
  readonly body: AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

export interface RemoteHttp {
  /** Follows redirects. Rejects when no answer came, or with the signal's reason. */
  get(
    url: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<RemoteAnswer>;
  close(): Promise<void>;
}

/** The hub that `hf:` stands for, and the secret that it alone is sent. */
export interface ModelHub {
  readonly endpoint: string;
  readonly token: string | undefined;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Told by the hub itself before it sends one on to where the bytes are. */
const KEPT_OVER_REDIRECTS = ["x-linked-etag", "x-linked-size", "x-repo-commit"];

export function createRemoteHttp(hub: ModelHub): RemoteHttp {
  // How long is too long is decided by the caller's clock.
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  return {
    get: async (url, { headers = {}, signal }) => {
      let at = new URL(url);
      const kept: Record<string, string> = {};
      for (let hop = 0; ; hop += 1) {
        const answer = await request(at, {
          method: "GET",
          dispatcher: agent,
          signal,
          headers: { "accept-encoding": "identity", ...headers, ...authorizationFor(at, hub) },
        });
        const flat = flatten(answer.headers);
        // A connection that ends before its body is read to the end is no failure of anybody who stopped reading.
        answer.body.on("error", () => undefined);
        const discard = async (): Promise<void> => {
          answer.body.destroy();
        };
        for (const name of KEPT_OVER_REDIRECTS) if (flat[name] !== undefined) kept[name] ??= flat[name];
        const { location } = flat;
        if (!REDIRECTS.has(answer.statusCode) || location === undefined) {
          return { status: answer.statusCode, headers: { ...flat, ...kept }, body: answer.body, discard };
        }
        await discard();
        const next = new URL(location, at);
        requireSafeHop(at, next);
        if (hop === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`);
        at = next;
      }
    },
    close: () => agent.destroy(),
  };
}

/** The token goes to the hub's own origin and nowhere else, and never readable by others on the way. */
function authorizationFor(url: URL, hub: ModelHub): Readonly<Record<string, string>> {
  if (hub.token === undefined || url.origin !== URL.parse(hub.endpoint)?.origin) return {};
  if (url.protocol !== "https:" && !isLoopback(url.hostname)) return {};
  return { authorization: `Bearer ${hub.token}` };
}

function requireSafeHop(from: URL, to: URL): void {
  if (to.protocol !== "https:" && to.protocol !== from.protocol)
    throw new Error(`redirected from ${from.protocol} to ${to.protocol}`);
}

const flatten = (
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name.toLowerCase(),
      Array.isArray(value) ? value.join(", ") : value,
    ]),
  );
