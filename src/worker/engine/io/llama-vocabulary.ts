import type { LlamaModel } from "node-llama-cpp";
import { longestTextOf } from "./llama-header.ts";

/** The tokens of a model as its file writes them. */
export interface Vocabulary {
  readonly size: number;
  /** No token's text has more. */
  readonly longestBytes: number;
  textOf(token: number): string;
  /** llama.cpp's marks of a token (`TOKEN_MARKS`), bit by bit. */
  marksOf(token: number): number;
}

/** As numbered in `llama_token_attr`. */
export const TOKEN_MARKS = { unknown: 1, control: 8, eatsBefore: 128, eatsAfter: 256 } as const;

/** Texts are asked of llama.cpp one by one: of most of them nobody ever asks. */
export function vocabularyOf(model: LlamaModel): Vocabulary {
  const texts = model.fileInfo.metadata.tokenizer?.ggml?.tokens ?? [];
  const known = longestTextOf(texts);
  const native = nativeOf(model);
  const marksOf = (token: number): number => native.getTokenAttributes(token);
  if (known === undefined) {
    const longestBytes = texts.reduce((most, text) => Math.max(most, Buffer.byteLength(text, "utf8")), 1);
    return { size: texts.length, longestBytes, marksOf, textOf: (token) => texts[token] ?? "" };
  }
  return {
    size: texts.length,
    longestBytes: known,
    marksOf,
    textOf: (token) => (token < texts.length ? native.getTokenString(token) : ""),
  };
}

interface NativeModel {
  readonly getTokenString: (token: number) => string;
  readonly getTokenAttributes: (token: number) => number;
}

/** Not part of the binding's public interface; its version is pinned, and tests notice when it moves. */
const nativeOf = (model: LlamaModel): NativeModel =>
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  (model as unknown as { readonly _model: NativeModel })._model;
