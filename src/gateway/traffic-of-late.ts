import type { FleetTraffic } from "../protocol/gateway-api.ts";
import type { RequestRecord } from "./request-record.ts";

const RATE_WINDOW_MS = 10_000;
const MINUTE_MS = 60_000;
/** Left before the answer was complete: nobody's error. */
const STATUS_CLIENT_LEFT = 499;

type TrafficOfLate = Required<Pick<FleetTraffic, "tokens_per_sec" | "first_token_ms" | "errors_per_min">>;

/** What requests tell of the last seconds, in figures that can be added up over processes. */
export interface TrafficCounts {
  /** Of answers, within the last ten seconds. */
  readonly tokens: number;
  /** Within the last minute. */
  readonly errors: number;
  /** Milliseconds until the first token, of streams that had it within the last minute. */
  readonly firstTokensMs: readonly number[];
}

/**
 * What the requests that are remembered tell of the last seconds. The tokens of an answer count evenly from its first to
 * its end, so that a long answer is no peak at the moment when it is over.
 */
export function countTraffic(records: readonly RequestRecord[], nowMs: number): TrafficCounts {
  let tokens = 0;
  let errors = 0;
  const firstTokensMs: number[] = [];
  for (const record of records) {
    const endedAtMs = record.durationMs === undefined ? nowMs : record.startedAtMs + record.durationMs;
    if (endedAtMs < nowMs - MINUTE_MS) continue;
    tokens += tokensSince(record, { fromMs: nowMs - RATE_WINDOW_MS, endedAtMs });
    if (isError(record)) errors += 1;
    const { firstContentMs } = record;
    if (firstContentMs === undefined || record.startedAtMs + firstContentMs < nowMs - MINUTE_MS) continue;
    firstTokensMs.push(firstContentMs);
  }
  return { tokens, errors, firstTokensMs };
}

export const trafficOfLate = ({ tokens, errors, firstTokensMs }: TrafficCounts): TrafficOfLate => ({
  tokens_per_sec: round(tokens / (RATE_WINDOW_MS / 1000)),
  first_token_ms: percentiles(firstTokensMs),
  errors_per_min: errors,
});

function tokensSince(
  { usage, costSoFar, startedAtMs, firstContentMs = 0 }: RequestRecord,
  { fromMs, endedAtMs }: { readonly fromMs: number; readonly endedAtMs: number },
): number {
  if (endedAtMs <= fromMs) return 0;
  const tokens = usage?.completionTokens ?? costSoFar?.().eventsPassed ?? 0;
  const firstAtMs = startedAtMs + firstContentMs;
  const tookMs = endedAtMs - firstAtMs;
  return tookMs <= 0 ? tokens : (tokens * (endedAtMs - Math.max(firstAtMs, fromMs))) / tookMs;
}

const isError = ({ durationMs, errorCode, status }: RequestRecord): boolean =>
  durationMs !== undefined && errorCode !== undefined && status !== STATUS_CLIENT_LEFT;

function percentiles(values: readonly number[]): TrafficOfLate["first_token_ms"] {
  if (values.length === 0) return null;
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number): number => round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p95: at(0.95) };
}

const round = (value: number): number => Math.round(value * 10) / 10;
