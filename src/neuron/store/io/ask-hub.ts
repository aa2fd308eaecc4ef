import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { broken, downloadError, retryDelayMs, statusFailure, type AnswerFailure } from "../http-answer.ts";
import {
  listingUrl,
  readListing,
  resolveHubSource,
  resolveUrlSource,
  type Listing,
  type RemoteSource,
  type ResolvedSource,
} from "../resolve-source.ts";
import type { HubSource } from "../../../fleet/schema/model-source.ts";
import type { ModelHub, RemoteHttp } from "./remote-http.ts";

export interface Asking {
  readonly http: RemoteHttp;
  readonly hub: ModelHub;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Somebody waits for the answer: a source that fails is asked so often and no more. */
  readonly mostTries?: number;
}

const ANSWER_TIMEOUT_MS = 30_000;
const MAX_LISTING_BYTES = 32 * 1024 * 1024;

/** Which files a source means now. Throws source_not_found, source_denied or download_failed. */
export async function resolveRemote(source: RemoteSource, asking: Asking): Promise<ResolvedSource> {
  if (source.kind === "https") return resolveUrlSource(source.url);
  if (!/^https?:$/.test(URL.parse(asking.hub.endpoint)?.protocol ?? ""))
    throw new CortexError("usage_error", `HF_ENDPOINT is ${asking.hub.endpoint}, and that is no URL`);
  const resolved = resolveHubSource(asking.hub.endpoint, source, await askListing(source, asking));
  if (!resolved.ok) throw resolved.error;
  return resolved.value;
}

async function askListing(source: HubSource, asking: Asking): Promise<Listing> {
  const { clock, signal } = asking;
  const { repository, revision } = source;
  const place = `hf:${repository}${revision === undefined ? "" : `@${revision}`}`;
  for (let tries = 1; ; tries += 1) {
    const answer = await askOnce(listingUrl(asking.hub.endpoint, source), asking);
    if ("body" in answer) {
      const listing = readListing(answer.body);
      if (!listing.ok) throw listing.error;
      return listing.value;
    }
    const delayMs = delayBeforeNext(answer.failure, tries, asking);
    if (delayMs === null) throw downloadError(answer.failure, place);
    await clock.sleep(delayMs, signal);
  }
}

/** Null when it is not asked again. */
export const delayBeforeNext = (
  failure: AnswerFailure,
  tries: number,
  { mostTries = Infinity }: Pick<Asking, "mostTries">,
): number | null => (tries >= mostTries ? null : retryDelayMs(failure, tries));

async function askOnce(
  url: string,
  { http, clock, signal }: Asking,
): Promise<{ readonly body: string } | { readonly failure: AnswerFailure }> {
  const late = new AbortController();
  const done = new AbortController();
  const timer = abortLater(late, { clock, signal: done.signal });
  try {
    const answer = await http.get(url, {
      headers: { accept: "application/json" },
      signal: AbortSignal.any([signal, late.signal]),
    });
    if (answer.status === 200) return { body: await readText(answer.body) };
    await answer.discard();
    return { failure: statusFailure(answer, clock.nowMs()) };
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof CortexError) throw thrown;
    return { failure: broken(thrown instanceof Error ? thrown.message : "no answer") };
  } finally {
    done.abort();
    await timer;
  }
}

async function abortLater(
  late: AbortController,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await clock.sleep(ANSWER_TIMEOUT_MS, signal);
    late.abort(new Error("no answer in time"));
  } catch {
    // It was in time.
  }
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > MAX_LISTING_BYTES) throw new CortexError("download_failed", "the hub's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
