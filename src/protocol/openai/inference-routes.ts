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
