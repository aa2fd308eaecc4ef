import { CortexError } from "../../core/errors.ts";
import type { EmbeddingsRequest, EmbeddingsResponse } from "../../protocol/openai/chat.ts";
import type { EmbeddingInput, InferenceEngine } from "../engine/inference-engine.ts";

/** As many as OpenAI's service takes. */
const MOST_EMBEDDING_INPUTS = 2048;

/** The vectors of the inputs, in their order. */
export async function embeddings(
  request: EmbeddingsRequest,
  engine: InferenceEngine,
  answer: { readonly model: string; readonly signal: AbortSignal },
): Promise<EmbeddingsResponse> {
  if (!engine.facts.capabilities.includes("embeddings")) {
    throw new CortexError("wrong_modality", "this model computes no embeddings");
  }
  const inputs = embeddingInputs(request.input);
  if (inputs.length > MOST_EMBEDDING_INPUTS) {
    throw new CortexError("unsupported_parameter", `\`input\` has more than ${MOST_EMBEDDING_INPUTS} texts`, {
      param: "input",
      next: "send several requests",
    });
  }
  for (const input of inputs) checkEmbeddingInput(engine, input);
  const { vectors, promptTokens } = await engine.embed(inputs, answer.signal);
  const size = vectors[0]?.length ?? 0;
  if (request.dimensions !== undefined && request.dimensions !== size) throw otherDimensions(size);
  const encode = request.encoding_format === "base64" ? toBase64 : (vector: readonly number[]) => [...vector];
  return {
    object: "list",
    model: answer.model,
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: encode(vector) })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}

/**
 * A shorter vector is only of use where the model was trained for it (Matryoshka), which no model file tells. So it is
 * left to who knows the model: nothing is cut here that might be worthless.
 */
const otherDimensions = (size: number): CortexError =>
  new CortexError("unsupported_parameter", `this model's embeddings have ${size} dimensions`, {
    param: "dimensions",
    details: { dimensions: size },
    next: "leave it out; where the model's card says that it was trained for shorter vectors, keep the first numbers and divide them by their length",
  });

function embeddingInputs(input: EmbeddingsRequest["input"]): readonly EmbeddingInput[] {
  if (typeof input === "string") return [input];
  const tokens = input.filter((item) => typeof item === "number");
  if (tokens.length > 0) return [tokens];
  return input.filter((item) => typeof item !== "number");
}

function checkEmbeddingInput(engine: InferenceEngine, input: EmbeddingInput): void {
  if (input.length === 0) {
    throw new CortexError("invalid_request_body", "`input` has an empty text", { param: "input" });
  }
  if (typeof input !== "string" && input.some((token) => token >= engine.vocabularySize)) {
    throw new CortexError("invalid_request_body", "`input` has a number that is not a token of this model", {
      param: "input",
    });
  }
}

/** Little-endian 32-bit floats, as OpenAI's clients ask for by default. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}
