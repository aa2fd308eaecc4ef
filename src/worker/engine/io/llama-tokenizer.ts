import { LlamaVocabularyType, type LlamaModel, type Token } from "node-llama-cpp";
import type { ControlTexts } from "../control-texts.ts";
import type { PromptTokenizer } from "../inference-engine.ts";
import { cutLongRuns } from "../long-runs.ts";
import { fencedPieces, promptPieces, type PromptPiece } from "../prompt-pieces.ts";
import type { Vocabulary } from "./llama-vocabulary.ts";

/** Vocabularies in which every character of a text is in some token, so that a length in bytes bounds the tokens. */
const KEEPS_EVERY_BYTE: ReadonlySet<string> = new Set([LlamaVocabularyType.bpe, LlamaVocabularyType.spm]);

export interface TokenizerOptions {
  readonly model: LlamaModel;
  readonly vocabulary: Vocabulary;
  readonly controls: ControlTexts;
}

export function createTokenizer({ model, vocabulary, controls }: TokenizerOptions): PromptTokenizer {
  const cutsRuns = model.vocabularyType === LlamaVocabularyType.bpe;
  const longestToken = KEEPS_EVERY_BYTE.has(model.vocabularyType) ? vocabulary.longestBytes : undefined;
  const { bos, shouldPrependBosToken } = model.tokens;
  const startToken = shouldPrependBosToken && bos !== null ? bos : undefined;

  const tokenizePiece = (piece: PromptPiece): readonly Token[] =>
    (piece.control || !cutsRuns ? [piece.text] : cutLongRuns(piece.text)).flatMap((part) =>
      model.tokenize(part, piece.control),
    );

  const tokenizePieces = (pieces: readonly PromptPiece[]): readonly Token[] => {
    const tokens: Token[] = [];
    // Not spread into `push`: a prompt can have more tokens than a call may have arguments.
    for (const piece of pieces) for (const token of tokenizePiece(piece)) tokens.push(token);
    return startToken === undefined || tokens[0] === startToken ? tokens : [startToken, ...tokens];
  };

  return {
    prompt(prompt) {
      const runsAreShort = !cutsRuns || cutLongRuns(prompt.text).length <= 1;
      return tokenizePieces(runsAreShort ? promptPieces(prompt, controls) : fencedPieces(prompt, controls));
    },
    text: (text) => tokenizePiece({ text, control: false }),
    textOf: (tokens) => model.detokenize([...tokens] as Token[], true),
    fewestTokens: (text) =>
      longestToken === undefined ? 0 : Math.ceil(Buffer.byteLength(text, "utf8") / longestToken),
  };
}
