import type { LlamaEmbeddingContext, LlamaModel, Token } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";
import { unitVector } from "../unit-vector.ts";
import type { EmbeddingInput, InferenceEngine, PromptTokenizer } from "../inference-engine.ts";

export interface EmbedderOptions {
  readonly model: LlamaModel;
  readonly tokenizer: PromptTokenizer;
  readonly contextTokens: number;
  readonly threads: number;
  /** Requests that may wait for the one being computed. */
  readonly maxWaiting: number;
}

/** Longer inputs would need a compute buffer of their own size. */
export const MOST_INPUT_TOKENS = 8192;

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
      return await embedAll({ ...options, context: await context }, inputs, signal);
    } finally {
      inFlight -= 1;
    }
  };
}

async function embedAll(
  embedder: Pick<EmbedderOptions, "contextTokens" | "tokenizer"> & {
    readonly context: LlamaEmbeddingContext;
  },
  inputs: readonly EmbeddingInput[],
  signal: AbortSignal,
) {
  const { context, tokenizer } = embedder;
  const limit = Math.min(embedder.contextTokens, MOST_INPUT_TOKENS) - 1;
  for (const [index, input] of inputs.entries()) {
    if (typeof input === "string") checkLength(index, tokenizer.fewestTokens(input), limit);
  }
  const prepared = inputs.map((input) =>
    // The context adds what the model wants at both ends.
    typeof input === "string" ? [...tokenizer.text(input)] : [...input],
  ) as Token[][];
  const lengths = prepared.map((input) => context.calculateInputLength([...input]));
  for (const [index, length] of lengths.entries()) checkLength(index, length, limit);
  const vectors: (readonly number[])[] = [];
  for (const input of prepared) {
    signal.throwIfAborted();
    const embedding = await context.getEmbeddingFor(input);
    vectors.push(unitVector(embedding.vector));
  }
  return { vectors, promptTokens: lengths.reduce((sum, length) => sum + length, 0) };
}

function checkLength(index: number, tokens: number, limit: number): void {
  if (tokens <= limit) return;
  throw new CortexError(
    "context_length_exceeded",
    `This model's maximum context length is ${limit} tokens, however you requested ${tokens} tokens in input ${index}. Please reduce your input.`,
    {
      param: "input",
      details: { prompt_tokens: tokens, max_prompt_tokens: limit },
      next: "split the input",
    },
  );
}
