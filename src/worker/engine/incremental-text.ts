/**
 * Tokens in, text out, one token at a time, so that the pieces joined are the text of all tokens.
 *
 * A token may carry part of a character: its bytes then decode to U+FFFD at the end of the text and are held back
 * until the character is whole. An unfinished character is at most three bytes, so of four or more held tokens
 * those before the last three are shown as soon as the cut provably changes nothing. The text of a token that
 * stands on its own is looked up, not computed again: this runs for every token that a model writes.
 */
export interface IncrementalText<Token extends number> {
  push(token: Token): string;
  /** What was held back, broken as it is. */
  end(): string;
}

export interface IncrementalTextOptions<Token extends number> {
  /** Text of a token sequence as it stands in the middle of an answer; broken bytes as U+FFFD. */
  readonly decode: (tokens: readonly Token[]) => string;
  /** Texts of single tokens, shared by the answers of one model. */
  readonly cache: Map<Token, string>;
}

const BROKEN = "\u{FFFD}";
/** Bytes that an unfinished UTF-8 character can have. */
const UNFINISHED_TOKENS = 3;
/** Past this the tokens are no text at all and are shown as they are. */
const HELD_TOKENS_LIMIT = 32;

export function createIncrementalText<Token extends number>(
  options: IncrementalTextOptions<Token>,
): IncrementalText<Token> {
  const { decode, cache } = options;
  let held: Token[] = [];

  const single = (token: Token): string => {
    const known = cache.get(token);
    if (known !== undefined) return known;
    const text = decode([token]);
    cache.set(token, text);
    return text;
  };

  const showHeld = (): string => {
    const text = decode(held);
    if (!text.endsWith(BROKEN) || held.length >= HELD_TOKENS_LIMIT) {
      held = [];
      return text;
    }
    if (held.length <= UNFINISHED_TOKENS) return "";
    for (let keep = UNFINISHED_TOKENS; keep > 0; keep -= 1) {
      const shown = decode(held.slice(0, -keep));
      if (shown + decode(held.slice(-keep)) !== text) continue;
      held = held.slice(-keep);
      return shown;
    }
    return "";
  };

  return {
    push(token) {
      if (held.length === 0) {
        const text = single(token);
        if (!text.includes(BROKEN)) return text;
      }
      held.push(token);
      return showHeld();
    },
    end() {
      const rest = held;
      held = [];
      return rest.length === 0 ? "" : decode(rest);
    },
  };
}
