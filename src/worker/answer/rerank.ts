import { CortexError } from "../../core/errors.ts";
import type { RerankRequest, RerankResponse } from "../../protocol/openai/rerank.ts";
import type { InferenceEngine } from "../engine/inference-engine.ts";

/** As many as Cohere's service advises. */
const MOST_DOCUMENTS = 1000;

/** Ranks the documents: best first, and among equals in the order of the request. */
export async function rerank(
  request: RerankRequest,
  engine: InferenceEngine,
  answer: { readonly id: string; readonly model: string; readonly signal: AbortSignal },
): Promise<RerankResponse> {
  if (!engine.facts.capabilities.includes("rerank")) {
    throw new CortexError("wrong_modality", "this model ranks no documents: its file has no classifier");
  }
  if (request.documents.length > MOST_DOCUMENTS) {
    throw new CortexError("unsupported_parameter", `\`documents\` has more than ${MOST_DOCUMENTS} texts`, {
      param: "documents",
      next: "send several requests",
    });
  }
  const texts = request.documents.map((given) => (typeof given === "string" ? given : given.text));
  const { scores, promptTokens } = await engine.rank(
    { query: request.query, documents: texts },
    answer.signal,
  );
  const results = scores.map((score, index) => ({
    index,
    relevance_score: score,
    ...(request.return_documents ? { document: { text: texts[index] ?? "" } } : {}),
  }));
  return {
    id: answer.id,
    object: "list",
    model: answer.model,
    results: results
      .toSorted((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
      .slice(0, request.top_n),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}
