import type { LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";
import { unitVector } from "../unit-vector.ts";
import type { EmbeddingInput, InferenceEngine } from "../inference-engine.ts";

export interface EmbedderOptions {
  readonly model: LlamaModel;
  readonly contextTokens: number;
  readonly threads: number;
  /** Requests that may wait for the one being computed. */
  readonly maxWaiting: number;
}

/** Longer inputs would need a compute buffer of their own size. */
const MOST_INPUT_TOKENS = 8192;

/** The context is made by the first request: most chat models are never asked for embeddings. */
export function createEmbedder(options: EmbedderOptions): InferenceEngine["embed"] {
  let context: Promise<LlamaEmbeddingContext> | undefined;
  let inFlight = 0;

  const makeContext = async (): Promise<LlamaEmbeddingContext> => {
    const size = Math.min(options.contextTokens, MOST_INPUT_TOKENS);
    try {
      // Pooling needs the whole input in one batch.
      return await options.model.createEmbeddingContext({
        contextSize: size,
        batchSize: size,
        threads: options.threads,
      });
    } catch (thrown) {
      context = undefined;
      throw new CortexError("wrong_modality", "this model's engine cannot compute embeddings", {
        cause: thrown,
      });
    }
  };

  return async (inputs, signal) => {
    if (inFlight > options.maxWaiting) {
      throw new CortexError("queue_full", "too many embedding requests wait already", {
        details: { waiting: inFlight },
      });
    }
    inFlight += 1;
    try {
      context ??= makeContext();
      return await embedAll({ context: await context, contextTokens: options.contextTokens }, inputs, signal);
    } finally {
      inFlight -= 1;
    }
  };
}

async function embedAll(
  embedder: { readonly context: LlamaEmbeddingContext; readonly contextTokens: number },
  inputs: readonly EmbeddingInput[],
  signal: AbortSignal,
) {
  const { context } = embedder;
  const limit = Math.min(embedder.contextTokens, MOST_INPUT_TOKENS) - 1;
  const prepared = inputs.map((input) => (typeof input === "string" ? input : ([...input] as Token[])));
  const lengths = prepared.map((input) =>
    context.calculateInputLength(typeof input === "string" ? input : [...input]),
  );
  const tooLong = lengths.findIndex((length) => length > limit);
  if (tooLong >= 0) {
    throw new CortexError(
      "context_length_exceeded",
      `input ${tooLong} has ${lengths[tooLong]} tokens; ${limit} fit`,
      {
        param: "input",
        details: { prompt_tokens: lengths[tooLong], max_prompt_tokens: limit },
        next: "split the input",
      },
    );
  }
  const vectors: (readonly number[])[] = [];
  for (const input of prepared) {
    signal.throwIfAborted();
    const embedding = await context.getEmbeddingFor(input);
    vectors.push(unitVector(embedding.vector));
  }
  return { vectors, promptTokens: lengths.reduce((sum, length) => sum + length, 0) };
}
