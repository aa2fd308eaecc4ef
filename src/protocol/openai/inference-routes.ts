/** What a model is asked, by POST. A worker answers these; neuron and gateway pass them on as they are. */
export const INFERENCE_ROUTES = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/rerank",
  "/v1/tokenize",
  "/v1/detokenize",
  "/v1/count_tokens",
] as const;

/** Those that need no weights: a neuron answers them for models that are not loaded too. */
export const TOKEN_ROUTES: ReadonlySet<string> = new Set([
  "/v1/tokenize",
  "/v1/detokenize",
  "/v1/count_tokens",
]);
