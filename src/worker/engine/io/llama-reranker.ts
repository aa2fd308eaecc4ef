import type { LlamaModel, LlamaRankingContext, Token } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";
import type { InferenceEngine } from "../inference-engine.ts";
import { MOST_INPUT_TOKENS, type EmbedderOptions } from "./llama-embeddings.ts";

/** The context is made by the first request. Documents are computed one after the other. */
export function createReranker(options: EmbedderOptions): InferenceEngine["rank"] {
  const { model, tokenizer } = options;
  const size = Math.min(options.contextTokens, MOST_INPUT_TOKENS);
  let context: Promise<LlamaRankingContext> | undefined;
  let inFlight = 0;

  const makeContext = async (): Promise<LlamaRankingContext> => {
    try {
      // The score needs the whole input in one batch.
      return await model.createRankingContext({
        contextSize: size,
        batchSize: size,
        threads: options.threads,
      });
    } catch (thrown) {
      context = undefined;
      throw new CortexError("wrong_modality", "this model's engine cannot rank", { cause: thrown });
    }
  };

  return async ({ query, documents }, signal) => {
    if (inFlight > options.maxWaiting) {
      throw new CortexError("queue_full", "too many rankings wait already", {
        details: { waiting: inFlight },
      });
    }
    inFlight += 1;
    try {
      for (const [index, document] of documents.entries()) {
        checkLength(index, tokenizer.fewestTokens(query) + tokenizer.fewestTokens(document), size);
      }
      context ??= makeContext();
      const ranking = await context;
      const tokens = (text: string): Token[] => [...tokenizer.text(text)] as Token[];
      const queryTokens = tokens(query);
      const prepared = documents.map((document) => tokens(document));
      const lengths = prepared.map((document) => ranking.calculateInputLength(queryTokens, document));
      for (const [index, length] of lengths.entries()) checkLength(index, length, size - 1);
      const scores: number[] = [];
      for (const document of prepared) {
        signal.throwIfAborted();
        scores.push(await ranking.rank(queryTokens, document));
      }
      return { scores, promptTokens: lengths.reduce((sum, length) => sum + length, 0) };
    } finally {
      inFlight -= 1;
    }
  };
}

export const canRank = (model: LlamaModel): boolean => model.fileInsights.supportsRanking;

function checkLength(index: number, tokens: number, limit: number): void {
  if (tokens <= limit) return;
  throw new CortexError(
    "context_length_exceeded",
    `This model's maximum context length is ${limit} tokens. However, the query and document ${index} resulted in ${tokens} tokens. Please reduce the length of the documents.`,
    {
      param: `documents.${index}`,
      details: { prompt_tokens: tokens, max_prompt_tokens: limit },
      next: "split the document",
    },
  );
}
