import type { LlamaModel, Token } from "node-llama-cpp";
import { vocabularyBytes } from "../vocabulary-bytes.ts";
import type { Vocabulary } from "./llama-vocabulary.ts";

/** How answers turn tokens into text; shared by all answers of a model. */
export interface TokenTexts {
  readonly decode: (tokens: readonly Token[]) => string;
  readonly cache: Map<Token, string>;
  /** A token by itself, as logprobs show it. */
  readonly describe: (token: Token) => TokenName;
}

interface TokenName {
  readonly text: string;
  readonly bytes: readonly number[] | null;
}

/** Marks that answers are parsed by. Some models have them as special tokens, whose text is not shown otherwise. */
const VISIBLE_MARKS = ["<tool_call>", "</tool_call>", "<think>", "</think>"];

export function createTokenTexts(model: LlamaModel, vocabulary: Vocabulary): TokenTexts {
  const marks = new Map<Token, string>();
  for (const mark of VISIBLE_MARKS) {
    const [token, ...others] = model.tokenize(mark, true);
    if (token !== undefined && others.length === 0) marks.set(token, mark);
  }
  // A token before the decoded ones: some tokenizers drop the space at the start of a text.
  const anchor = model.tokenize("a", false).slice(-1);
  const plain = (tokens: readonly Token[]): string =>
    tokens.length === 0 ? "" : model.detokenize(tokens, false, anchor);

  const decode = (tokens: readonly Token[]): string => {
    const at = tokens.findIndex((token) => marks.has(token));
    const mark = tokens[at];
    if (at < 0 || mark === undefined) return plain(tokens);
    return plain(tokens.slice(0, at)) + (marks.get(mark) ?? "") + decode(tokens.slice(at + 1));
  };
  const describe = (token: Token): TokenName => {
    const text = decode([token]);
    const name = vocabulary.textOf(token);
    if (text === "") return { text: name, bytes: utf8(name) };
    if (!text.includes(BROKEN)) return { text, bytes: utf8(text) };
    const bytes = vocabularyBytes(name);
    return bytes === null ? { text, bytes } : { text: escaped(bytes), bytes };
  };
  return { decode, cache: new Map(), describe };
}

const BROKEN = "\u{FFFD}";

const utf8 = (text: string): readonly number[] => [...Buffer.from(text, "utf8")];

/** How OpenAI's service names a token that is part of a character. */
const escaped = (bytes: readonly number[]): string =>
  `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
