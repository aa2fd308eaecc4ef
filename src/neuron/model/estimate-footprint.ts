import { bytesToMib, MIB_BYTES } from "../../core/quantities.ts";

/** The numbers of a model that its memory follows from. */
export interface ModelShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly keyLength: number;
  readonly valueLength: number;
  /** Tokens that the model was trained for. */
  readonly trainedContext: number;
}

export interface FootprintQuestion {
  /** What the catalogue declares; taken at its word until the load is measured. */
  readonly declaredMib: number | undefined;
  readonly fileBytes: number;
  /** Null when the file's header does not tell. */
  readonly shape: ModelShape | null;
  /** Tokens per slot (`contextPerSlot`). */
  readonly contextTokens: number | null;
  readonly parallel: number;
}

/**
 * Longest context that a slot gets when nobody asks for one. Bounded, because a cache for all that a model was
 * trained for can be larger than its weights, and what a load takes must be known before it begins.
 */
const DEFAULT_CONTEXT_TOKENS = 8192;
/** Keys and values are kept as 16-bit floats. */
const CACHE_ELEMENT_BYTES = 2;
/** Compute buffers, the process's own memory and, on a GPU, the driver's context. */
const FIXED_MARGIN_BYTES = 256 * MIB_BYTES;
const RELATIVE_MARGIN = 0.05;
/** Cache per byte of weights when the header is silent: an ordinary dense model at a few thousand tokens. */
const BLIND_CACHE_SHARE = 0.15;

/** Tokens that a slot gets: what is declared, else what the model was trained for, bounded; null when unknown. */
export function contextPerSlot(declared: number | undefined, shape: ModelShape | null): number | null {
  if (declared !== undefined) return declared;
  return shape === null ? null : Math.min(shape.trainedContext, DEFAULT_CONTEXT_TOKENS);
}

/** MiB to promise before a load: rather a little too much, since the measurement soon replaces it. */
export function estimateFootprintMib(question: FootprintQuestion): number {
  if (question.declaredMib !== undefined) return question.declaredMib;
  const weights = question.fileBytes * (1 + RELATIVE_MARGIN);
  return bytesToMib(weights + cacheBytes(question) + FIXED_MARGIN_BYTES);
}

function cacheBytes({ shape, contextTokens, parallel, fileBytes }: FootprintQuestion): number {
  if (shape === null || contextTokens === null) return fileBytes * BLIND_CACHE_SHARE;
  const tokens = contextTokens * parallel;
  const bytesPerToken =
    shape.layers * shape.kvHeads * (shape.keyLength + shape.valueLength) * CACHE_ELEMENT_BYTES;
  return tokens * bytesPerToken;
}
