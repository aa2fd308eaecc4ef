import type { LlamaModel } from "node-llama-cpp";
import { createControlTexts, type ControlText, type ControlTexts } from "../control-texts.ts";
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

const IS_CONTROL = TOKEN_MARKS.control | TOKEN_MARKS.unknown;

/**
 * The texts that llama.cpp reads as control tokens when it is told to. Asked of the loaded model and not of its
 * file: llama.cpp makes control tokens of some that the file calls normal.
 */
export function readControlTexts(vocabulary: Vocabulary): ControlTexts {
  const texts: ControlText[] = [];
  for (let token = 0; token < vocabulary.size; token += 1) {
    const marks = vocabulary.marksOf(token);
    if ((marks & IS_CONTROL) === 0) continue;
    texts.push({
      text: vocabulary.textOf(token),
      eatsBefore: (marks & TOKEN_MARKS.eatsBefore) !== 0,
      eatsAfter: (marks & TOKEN_MARKS.eatsAfter) !== 0,
    });
  }
  return createControlTexts(texts);
}
