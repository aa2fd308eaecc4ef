import type { ModelEntry } from "../../../protocol/gateway-api.ts";

/** `GET /v1/models` for clients that send `anthropic-version`: all of it on one page. */
export const toAnthropicModels = (entries: readonly ModelEntry[]) => ({
  data: entries.map(toAnthropicModel),
  has_more: false,
  first_id: entries[0]?.id ?? null,
  last_id: entries.at(-1)?.id ?? null,
});

export const toAnthropicModel = ({ id, created, limit }: ModelEntry) => ({
  type: "model",
  id,
  display_name: id,
  created_at: new Date(created * 1000).toISOString(),
  // What agents shorten their conversations by; null where no copy has told it yet.
  max_input_tokens: limit?.input ?? limit?.context ?? null,
  max_tokens: limit?.output ?? null,
});
