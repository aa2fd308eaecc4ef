import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import type { UsageReport } from "../../protocol/gateway-api.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { UsageLedger, UsageRow } from "../keys/usage-ledger.ts";
import type { FleetIndex } from "../view/fleet-index.ts";

const DAY_MS = 86_400_000;

export interface UsageSources {
  readonly clock: Clock;
  readonly fleet: FleetIndex;
  readonly keys: KeyRing;
  readonly ledger: UsageLedger;
}

/** `GET /usage`; without `since_ms` the last seven days. Throws `invalid_request_body` for a time that is none. */
export async function usageReport(query: unknown, sources: UsageSources): Promise<UsageReport> {
  const nowMs = sources.clock.nowMs();
  const untilMs = timeOf(query, "until_ms") ?? nowMs;
  const sinceMs = timeOf(query, "since_ms") ?? untilMs - 7 * DAY_MS;
  const rows = await sources.ledger.usage({ fromMs: sinceMs, toMs: untilMs });
  const limited = sources.keys.principals.flatMap(({ id, limits }) =>
    limits === null ? [] : [{ id, limits }],
  );
  const keys = await Promise.all(
    limited.map(async ({ id, limits }) => {
      const standing = await sources.ledger.standing(id, limits, nowMs);
      const { tokens } = limits;
      return {
        id,
        hard_cap: tokens?.hardCap ?? null,
        window_secs: tokens?.windowMs == null ? null : tokens.windowMs / 1000,
        spent_tokens: standing.spentTokens,
        reserved_tokens: standing.reservedTokens,
        requests_in_last_minute: standing.requestsInLastMinute,
        parallel_requests: standing.parallelRequests,
      };
    }),
  );
  return {
    fleet: sources.fleet.fleetName,
    since_ms: sinceMs,
    until_ms: untilMs,
    rows: rows.map(shown),
    keys,
  };
}

function timeOf(query: unknown, name: string): number | undefined {
  const given: unknown =
    typeof query === "object" && query !== null && name in query
      ? query[name as keyof typeof query]
      : undefined;
  if (given === undefined) return undefined;
  if (typeof given === "string" && /^\d{1,15}$/.test(given)) return Number(given);
  throw new CortexError("invalid_request_body", `\`${name}\` is not a time in milliseconds since 1970`, {
    param: name,
  });
}

const shown = (row: UsageRow): UsageReport["rows"][number] => ({
  hour_ms: row.hourMs,
  key: row.keyId,
  model: row.modelId,
  requests: row.requests,
  cut: row.cut,
  failed: row.failed,
  prompt_tokens: row.promptTokens,
  completion_tokens: row.completionTokens,
  cached_tokens: row.cachedTokens,
  reasoning_tokens: row.reasoningTokens,
});
