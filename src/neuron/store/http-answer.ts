import { CortexError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { RemoteFacts } from "./resume.ts";

/** Status line and headers of an answer, redirects followed. */
export interface AnswerHead {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** Why an answer is of no use, by what can be done about it. */
export interface AnswerFailure {
  readonly kind:
    | "denied"
    | "absent"
    /** Refused for good for another reason. */
    | "refused"
    /** Asked to come back later. */
    | "busy"
    /** The file is another one than at the start. */
    | "changed"
    /** Cut, stalled, or nonsense: worth another try. */
    | "broken";
  readonly message: string;
  readonly retryAfterMs: number | null;
}

export const broken = (message: string): AnswerFailure => ({ kind: "broken", message, retryAfterMs: null });
const changed = (message: string): AnswerFailure => ({ kind: "changed", message, retryAfterMs: null });

const KIND_OF_STATUS: Readonly<Record<number, AnswerFailure["kind"]>> = {
  401: "denied",
  403: "denied",
  404: "absent",
  408: "broken",
  410: "absent",
  412: "changed",
  416: "changed",
  425: "busy",
  429: "busy",
  503: "busy",
};

/** Reads a status that is no success. */
export function statusFailure({ status, headers }: AnswerHead, nowMs: number): AnswerFailure {
  const kind = KIND_OF_STATUS[status] ?? (status >= 500 ? "broken" : "refused");
  const retryAfterMs = kind === "busy" ? readRetryAfter(headers["retry-after"], nowMs) : null;
  return { kind, message: `the server answered ${status}`, retryAfterMs };
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function readRetryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

interface ContentRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly totalBytes: number | null;
}

function parseContentRange(value: string | undefined): ContentRange | null {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(value?.trim() ?? "") ?? [];
  if (first === undefined || last === undefined || total === undefined) return null;
  return { start: Number(first), end: Number(last) + 1, totalBytes: total === "*" ? null : Number(total) };
}

const isEncoded = (headers: AnswerHead["headers"]): boolean =>
  !["identity", ""].includes(headers["content-encoding"]?.toLowerCase() ?? "");

/** A hub gives the digest of a large file as the ETag of what it links to. */
function linkedSha256(headers: AnswerHead["headers"]): string | null {
  return /^"?([0-9a-f]{64})"?$/.exec(headers["x-linked-etag"] ?? "")?.[1] ?? null;
}

/** The answer to a request for the first byte: what the file is. */
export function readFacts(head: AnswerHead, nowMs: number): Result<RemoteFacts, AnswerFailure> {
  const { status, headers } = head;
  if (status !== 200 && status !== 206) return err(statusFailure(head, nowMs));
  if (isEncoded(headers)) return err(broken("the server sends the file encoded, though not asked to"));
  const range = status === 206 ? parseContentRange(headers["content-range"]) : null;
  if (status === 206 && (range === null || range.start !== 0))
    return err(broken("the server sent another range than asked for"));
  const totalBytes = range === null ? readLength(headers["content-length"]) : range.totalBytes;
  if (totalBytes === null) return err(broken("the server does not say how long the file is"));
  const facts = { totalBytes, etag: headers["etag"] ?? null, sha256: linkedSha256(headers) };
  return ok({ ...facts, hasRanges: status === 206 });
}

const readLength = (value: string | undefined): number | null =>
  value !== undefined && /^\d+$/.test(value) ? Number(value) : null;

/** The answer to a request for `[start, end)` of a file that is known: null when its body is what was asked for. */
export function pieceFailure(
  head: AnswerHead,
  asked: { readonly start: number; readonly end: number; readonly remote: RemoteFacts },
  nowMs: number,
): AnswerFailure | null {
  const { status, headers } = head;
  const { remote } = asked;
  if (status !== 200 && status !== 206) return statusFailure(head, nowMs);
  if (isEncoded(headers)) return broken("the server sends the file encoded, though not asked to");
  const { etag } = headers;
  if (etag !== undefined && remote.etag !== null && etag !== remote.etag)
    return changed("the file has another ETag than at the start");
  if (!remote.hasRanges) {
    return readLength(headers["content-length"]) === remote.totalBytes ? null : changed(OTHER_LENGTH);
  }
  // With If-Range the whole file instead of a range means that it is another one now.
  if (status === 200) return changed("the server sent the whole file instead of a range of it");
  return rangeFailure(parseContentRange(headers["content-range"]), asked);
}

const OTHER_LENGTH = "the file has another length than at the start";

function rangeFailure(
  range: ContentRange | null,
  asked: { readonly start: number; readonly end: number; readonly remote: RemoteFacts },
): AnswerFailure | null {
  if (range?.start !== asked.start || range.end > asked.end || range.end <= range.start)
    return broken("the server sent another range than asked for");
  if (range.totalBytes !== null && range.totalBytes !== asked.remote.totalBytes) return changed(OTHER_LENGTH);
  return null;
}

const MAX_FRUITLESS_TRIES = 6;
const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 30_000;
/** A server that asks for more is not waited for. */
const MAX_RETRY_AFTER_MS = 10 * 60_000;

/** Milliseconds to wait before the next try; null when there is to be none. `tries` counts those that brought nothing. */
export function retryDelayMs(failure: AnswerFailure, tries: number): number | null {
  if (failure.kind !== "busy" && failure.kind !== "broken") return null;
  if (tries >= MAX_FRUITLESS_TRIES) return null;
  const backoffMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, tries - 1));
  const delayMs = Math.max(backoffMs, failure.retryAfterMs ?? 0);
  return delayMs > MAX_RETRY_AFTER_MS ? null : delayMs;
}

/** What a caller is told; `place` is a URL without its query, or a repository. */
export function downloadError(failure: AnswerFailure, place: string): CortexError {
  const message = `${place}: ${failure.message}`;
  if (failure.kind === "denied") return new CortexError("source_denied", message);
  if (failure.kind === "absent") {
    return new CortexError("source_not_found", message, {
      param: "source",
      next: "mend `source` or `revision` in the model's block",
    });
  }
  if (failure.kind !== "busy") return new CortexError("download_failed", message);
  const retryAfterSecs = Math.ceil((failure.retryAfterMs ?? 60_000) / 1000);
  return new CortexError("download_failed", message, { retryAfterSecs });
}
