/**
 * What an answer cost, beside the answer: a header of a whole one, a trailer of a stream. The gateway counts from it
 * without reading what it passes on, and a client that asked for no usage gets none.
 */
export const USAGE_HEADER = "cortex-usage";

export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt's tokens, those that were found in the cache. */
  readonly cachedTokens: number;
  /** Of the answer's tokens, those of the reasoning. */
  readonly reasoningTokens: number;
}

export const NO_USAGE: TokenUsage = {
  promptTokens: 0,
  completionTokens: 0,
  cachedTokens: 0,
  reasoningTokens: 0,
};

const FIELDS = {
  prompt: "promptTokens",
  completion: "completionTokens",
  cached: "cachedTokens",
  reasoning: "reasoningTokens",
} as const;

/** `prompt=12, completion=5, cached=3, reasoning=0`. */
export const formatUsage = (usage: TokenUsage): string =>
  Object.entries(FIELDS)
    .map(([name, field]) => `${name}=${usage[field]}`)
    .join(", ");

/** As `formatUsage` writes it: read once for each request, so without a list of its parts. */
const OWN_SPELLING = /^prompt=(\d{1,15}), completion=(\d{1,15}), cached=(\d{1,15}), reasoning=(\d{1,15})$/;

/** Undefined for what is no usage; names that are not known are left out. */
export function parseUsage(text: unknown): TokenUsage | undefined {
  if (typeof text !== "string") return undefined;
  const own = OWN_SPELLING.exec(text);
  if (own !== null) {
    return {
      promptTokens: Number(own[1]),
      completionTokens: Number(own[2]),
      cachedTokens: Number(own[3]),
      reasoningTokens: Number(own[4]),
    };
  }
  const counts = new Map<string, number>();
  for (const [, name = "", count = ""] of text.matchAll(/(?:^|, ?)(\w+)=(\d{1,15})(?=,|$)/g)) {
    counts.set(name, Number(count));
  }
  if (!counts.has("prompt") && !counts.has("completion")) return undefined;
  const of = (name: keyof typeof FIELDS): number => counts.get(name) ?? 0;
  return {
    promptTokens: of("prompt"),
    completionTokens: of("completion"),
    cachedTokens: of("cached"),
    reasoningTokens: of("reasoning"),
  };
}
