import { HOUR_MS, type CountedRequest, type UsageRow } from "./usage-ledger.ts";

/** Usage that was counted and is not written yet, added up as it will be kept. */
export interface PendingUsage {
  readonly isEmpty: boolean;
  readonly usage: ReadonlyMap<string, UsageRow>;
  readonly spent: ReadonlyMap<string, SpentSlice>;
  add(used: CountedRequest): void;
}

export interface SpentSlice {
  readonly keyId: string;
  /** Beginning of the slice. */
  readonly sliceMs: number;
  readonly tokens: number;
}

export function pendingUsage(sliceLengthMs: number): PendingUsage {
  const usage = new Map<string, UsageRow>();
  const spent = new Map<string, SpentSlice>();
  return {
    usage,
    spent,
    get isEmpty() {
      return usage.size === 0;
    },
    add(used) {
      const added = rowOf(used);
      const name = JSON.stringify([added.hourMs, added.keyId, added.modelId]);
      const before = usage.get(name);
      usage.set(name, before === undefined ? added : sumOfRows(before, added));
      const tokens = added.promptTokens + added.completionTokens;
      if (tokens === 0) return;
      const sliceMs = Math.floor(used.nowMs / sliceLengthMs) * sliceLengthMs;
      const slice = JSON.stringify([used.keyId, sliceMs]);
      const already = spent.get(slice)?.tokens ?? 0;
      spent.set(slice, { keyId: used.keyId, sliceMs, tokens: already + tokens });
    },
  };
}

const rowOf = ({ keyId, modelId, nowMs, outcome, usage }: CountedRequest): UsageRow => ({
  keyId,
  modelId,
  hourMs: Math.floor(nowMs / HOUR_MS) * HOUR_MS,
  requests: 1,
  cut: outcome === "cut" ? 1 : 0,
  failed: outcome === "failed" ? 1 : 0,
  ...usage,
});

/** Two rows as one; key, model and hour are the first one's. */
export const sumOfRows = (one: UsageRow, other: UsageRow): UsageRow => ({
  ...one,
  requests: one.requests + other.requests,
  cut: one.cut + other.cut,
  failed: one.failed + other.failed,
  promptTokens: one.promptTokens + other.promptTokens,
  completionTokens: one.completionTokens + other.completionTokens,
  cachedTokens: one.cachedTokens + other.cachedTokens,
  reasoningTokens: one.reasoningTokens + other.reasoningTokens,
});
