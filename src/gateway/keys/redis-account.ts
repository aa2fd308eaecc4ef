import { z } from "zod";
import { refusalBy, stepOf } from "./key-accounts.ts";
import type { KeyLimits } from "./key-ring.ts";
import type { Opening, Standing, UsageRow, Verdict } from "./usage-ledger.ts";

const count = z.coerce.number();

/** As the script that opens a request answers. */
const answerSchema = z
  .tuple([count, count, count, count, z.array(count), z.array(z.string())])
  .transform(([granted, spent, reserved, parallel, startedAtMs, slices]) => ({
    granted: granted === 1,
    spent,
    reserved,
    parallel,
    startedAtMs,
    slices: slices.map(readSlice),
  }));

function readSlice(text: string) {
  const [startMs = 0, widthMs = 0, tokens = 0] = text.split(":").map(Number);
  return { startMs, widthMs, tokens };
}

/**
 * What an account in Redis says to a request. The script there decides, so that two gateways cannot both have the last
 * tokens; when it refused, how long to wait is worked out here, by the rules of an account in memory.
 */
export function verdictOf(answer: unknown, opening: Opening): Verdict {
  const seen = answerSchema.parse(answer);
  const { meterId, keyId, limits, tokens } = opening;
  if (seen.granted) return { kind: "granted", reservation: { meterId, keyId, tokens } };
  const { reserved, parallel, startedAtMs } = seen;
  const refusal = refusalBy({ spent: piecesOf(seen, limits), reserved, parallel, startedAtMs }, opening);
  // A moment decides between the two: what had not left the window there has left it here.
  const { limit, retryAfterMs } = refusal ?? { limit: "tokens", retryAfterMs: 1000 };
  return { kind: "refused", limit, retryAfterMs, standing: standingSeen(seen) };
}

type Seen = z.infer<typeof answerSchema>;

/** Slices that another window made leave when they are over, as the script has it. */
function piecesOf({ spent, slices }: Seen, { tokens }: KeyLimits) {
  const windowMs = tokens?.windowMs ?? null;
  if (windowMs === null) return [{ atMs: 0, tokens: spent }];
  return slices
    .map((slice) => ({ atMs: slice.startMs + slice.widthMs - stepOf(windowMs), tokens: slice.tokens }))
    .toSorted((one, other) => one.atMs - other.atMs);
}

export const standingOf = (answer: unknown): Standing => standingSeen(answerSchema.parse(answer));

const standingSeen = ({ spent, reserved, parallel, startedAtMs }: Seen): Standing => ({
  spentTokens: spent,
  reservedTokens: reserved,
  requestsInLastMinute: startedAtMs.length,
  parallelRequests: parallel,
});

/** Names of the counters of an hour, and the fields that they are in a row. */
export const COUNTERS = {
  requests: "requests",
  cut: "cut",
  failed: "failed",
  prompt: "promptTokens",
  completion: "completionTokens",
  cached: "cachedTokens",
  reasoning: "reasoningTokens",
} as const;

const fieldSchema = z.tuple([z.string(), z.string(), z.string()]);

/** The rows of an hour, from its counters. */
export function usageRows(hourMs: number, counters: Readonly<Record<string, string>>): UsageRow[] {
  const rows = new Map<string, Record<string, number>>();
  for (const [field, value] of Object.entries(counters)) {
    const [keyId, modelId, counter] = fieldSchema.parse(JSON.parse(field));
    const name = JSON.stringify([keyId, modelId]);
    const counts = rows.get(name) ?? {};
    counts[counter] = Number(value);
    rows.set(name, counts);
  }
  return [...rows].map(([name, counts]) => {
    const [keyId, modelId] = z.tuple([z.string(), z.string()]).parse(JSON.parse(name));
    const of = (counter: keyof typeof COUNTERS): number => counts[counter] ?? 0;
    return {
      keyId,
      modelId,
      hourMs,
      requests: of("requests"),
      cut: of("cut"),
      failed: of("failed"),
      promptTokens: of("prompt"),
      completionTokens: of("completion"),
      cachedTokens: of("cached"),
      reasoningTokens: of("reasoning"),
    };
  });
}
