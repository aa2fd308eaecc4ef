import type { LlamaModel, Token } from "node-llama-cpp";
import { createControlTexts, type ControlText, type ControlTexts } from "../control-texts.ts";

/**
 * The texts that llama.cpp reads as control tokens when it is told to. Asked of the loaded model and not of its
 * file: llama.cpp makes control tokens of some that the file calls normal.
 */
export function readControlTexts(model: LlamaModel, vocabulary: readonly string[]): ControlTexts {
  return createControlTexts(
    vocabulary.flatMap((text, token): ControlText[] => {
      const attributes = model.getTokenAttributes(token as Token);
      if (!attributes.control && !attributes.unknown) return [];
      return [{ text, eatsBefore: attributes.lstrip, eatsAfter: attributes.rstrip }];
    }),
  );
}
