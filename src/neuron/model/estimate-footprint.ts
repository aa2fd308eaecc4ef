import { bytesToMib, MIB_BYTES } from "../../core/quantities.ts";
import type { ModelSpec } from "../../protocol/neuron-api.ts";
import { weightBytes, type FilePart, type WeightPlace } from "./weight-memory.ts";

/** What one layer keeps of what it has seen. */
export interface LayerCache {
  /** Keys and values of one token. */
  readonly elementsPerToken: number;
  /** Tokens that it looks back at most; null for all. */
  readonly windowTokens: number | null;
  /** State that does not grow with the context. */
  readonly bytesPerSlot: number;
}

/** The numbers of a model that its memory follows from. */
export interface ModelShape {
  /** Tokens that the model was trained for. */
  readonly trainedContext: number;
  readonly embedding: number;
  readonly feedForward: number;
  /** Null when the header that was read ends before the tensors. */
  readonly vocabulary: number | null;
  /** False for an encoder: it has no cache and no buffers that stay. */
  readonly writesText: boolean;
  readonly layerCaches: readonly LayerCache[];
  /** One list for each file of the model; null when the header that was read ends before the tensors. */
  readonly weights: readonly FilePart[] | null;
}

export interface FootprintQuestion {
  readonly fileBytes: number;
  /** Null when the file's header does not tell. */
  readonly shape: ModelShape | null;
  /** Tokens per slot (`contextPerSlot`). */
  readonly contextTokens: number | null;
  readonly parallel: number;
  readonly place: WeightPlace;
  /** What keys and values are kept in; absent means f16. */
  readonly cacheType?: CacheType | undefined;
  /** All tokens are kept in layers with a sliding window too. */
  readonly keepsWindows?: boolean | undefined;
  /** Tokens that a step computes at most, where they are declared. */
  readonly batchTokens?: number | undefined;
}

/** What a copy takes, by what for. */
export interface Footprint {
  readonly weightBytes: number;
  readonly cacheBytes: number;
  /** Buffers that one step of computation needs. */
  readonly computeBytes: number;
  /** Cache that one more token of context costs, all slots together; null when the header does not tell. */
  readonly cacheBytesPerToken: number | null;
}

/**
 * Longest context that a slot gets when nobody asks for one. Bounded, because a cache for all that a model was
 * trained for can be larger than its weights, and what a load takes must be known before it begins.
 */
const DEFAULT_CONTEXT_TOKENS = 8192;
type CacheType = NonNullable<ModelSpec["kv_cache_type"]>;
/** Of a key's or a value's element: quantized ones are kept in blocks of 32 with their scales. */
const CACHE_ELEMENT_BYTES: Readonly<Record<CacheType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
};
/** llama.cpp makes caches in steps of so many tokens. */
const CACHE_STEP_TOKENS = 256;
/** Tokens that are computed in one step at most, and that buffers are made for. */
const STEP_TOKENS = 512;
const FLOAT_BYTES = 4;
const MASK_ELEMENT_BYTES = 2;
const SMALL_BUFFERS_BYTES = 256 * 1024;

/** Cache per byte of weights when the header is silent: an ordinary dense model at a few thousand tokens. */
const BLIND_CACHE_SHARE = 0.15;
const BLIND_COMPUTE_BYTES = 256 * MIB_BYTES;

/**
 * What is added to an estimate where it is promised or told: a measurement that is above the promise must find room, so
 * rather a little too much. A plan and the neuron that carries it out count with the same figure.
 */
const MARGIN = 0.01;
const MARGIN_MIB = 4;

/** Tokens that a slot gets: what is declared, else what the model was trained for, bounded; null when unknown. */
export function contextPerSlot(declared: number | undefined, shape: ModelShape | null): number | null {
  if (declared !== undefined) return declared;
  return shape === null ? null : Math.min(shape.trainedContext, DEFAULT_CONTEXT_TOKENS);
}

/** What llama.cpp will have allocated once the model is loaded. */
export function estimateFootprint(question: FootprintQuestion): Footprint {
  const { shape, contextTokens, fileBytes, parallel } = question;
  const weights = weightsOf(question);
  if (shape?.writesText === false)
    return { weightBytes: weights, cacheBytes: 0, computeBytes: 0, cacheBytesPerToken: null };
  if (shape === null || contextTokens === null) {
    const cacheBytes = Math.round(fileBytes * BLIND_CACHE_SHARE);
    return {
      weightBytes: weights,
      cacheBytes,
      computeBytes: BLIND_COMPUTE_BYTES,
      cacheBytesPerToken: null,
    };
  }
  const slotTokens = roundUp(contextTokens, CACHE_STEP_TOKENS);
  const stepTokens = Math.min(question.batchTokens ?? STEP_TOKENS, slotTokens);
  const elementBytes = CACHE_ELEMENT_BYTES[question.cacheType ?? "f16"];
  const cellsOf = ({ windowTokens }: LayerCache): number =>
    windowTokens === null || question.keepsWindows === true
      ? slotTokens
      : roundUp(Math.min(slotTokens, windowTokens + stepTokens), CACHE_STEP_TOKENS);
  const perSlot = shape.layerCaches.map(
    (layer) => cellsOf(layer) * layer.elementsPerToken * elementBytes + layer.bytesPerSlot,
  );
  const growing = shape.layerCaches.filter(
    ({ windowTokens }) => windowTokens === null || question.keepsWindows === true,
  );
  const masks = new Set(shape.layerCaches.map(cellsOf));
  return {
    weightBytes: weights,
    cacheBytes: parallel * sum(perSlot),
    computeBytes: computeBytes(shape, { stepTokens, maskCells: sum([...masks]) }),
    cacheBytesPerToken:
      parallel * elementBytes * sum(growing.map(({ elementsPerToken }) => elementsPerToken)) || null,
  };
}

/** With adapters and the model that guesses, which are in memory beside it. */
export function withCompanions(
  model: Footprint,
  beside: { readonly guesser: Footprint | undefined; readonly loraBytes: readonly number[] },
): Footprint {
  const { guesser, loraBytes } = beside;
  return {
    ...model,
    weightBytes: model.weightBytes + (guesser?.weightBytes ?? 0) + sum(loraBytes),
    cacheBytes: model.cacheBytes + (guesser?.cacheBytes ?? 0),
    computeBytes: model.computeBytes + (guesser?.computeBytes ?? 0),
  };
}

function weightsOf({ shape, fileBytes, place }: FootprintQuestion): number {
  const known = shape?.weights ?? null;
  return (known === null ? null : weightBytes(known, place)) ?? fileBytes;
}

/** The largest moment of a step: either in a layer, or where every token gets its scores over the vocabulary. */
function computeBytes(
  { embedding, feedForward, vocabulary }: ModelShape,
  step: { readonly stepTokens: number; readonly maskCells: number },
): number {
  const { stepTokens } = step;
  const floats = Math.max(2 * embedding + (vocabulary ?? 0), 3 * feedForward + 3 * embedding);
  return (
    stepTokens * floats * FLOAT_BYTES + stepTokens * step.maskCells * MASK_ELEMENT_BYTES + SMALL_BUFFERS_BYTES
  );
}

/** MiB to promise before a load. */
export const footprintMib = (footprint: Footprint): number =>
  bytesToMib((footprint.weightBytes + footprint.cacheBytes + footprint.computeBytes) * (1 + MARGIN)) +
  MARGIN_MIB;

const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

const roundUp = (figure: number, step: number): number => Math.ceil(figure / step) * step;
