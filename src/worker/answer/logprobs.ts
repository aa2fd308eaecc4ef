import type { LikelyToken, TokenLogprob } from "../engine/inference-engine.ts";
import type { AnswerEvent } from "./answer-parser.ts";
import type { WrittenLogprob } from "./tool-call-stream.ts";

/**
 * Gives the tokens of an answer to the pieces of text that they are shown in. The parser holds text back (for a stop
 * string, say) and drops some (a mark, white space next to one), so a piece is looked up in the text of the tokens
 * that wait. A token goes with the piece in which it begins; what is no text of the answer takes its tokens along.
 */
export interface LogprobAligner {
  write(text: string, token: TokenLogprob): void;
  /** `outside`: what the model writes now is reasoning or a tool call. */
  attach(events: readonly AnswerEvent[], outside: boolean): readonly AnswerEvent[];
}

export function createLogprobAligner(): LogprobAligner {
  let waiting: WrittenLogprob[] = [];

  const take = (text: string): readonly WrittenLogprob[] => {
    const begin = Math.max(
      0,
      waiting
        .map((one) => one.written)
        .join("")
        .indexOf(text),
    );
    const end = begin + text.length;
    const shown: WrittenLogprob[] = [];
    let at = 0;
    let gone = 0;
    for (const one of waiting) {
      if (at >= end) break;
      // Parts of a character have no text until its last one.
      const last = at + one.written.length;
      if (last > begin || one.written === "") shown.push(one);
      at = last;
      gone += 1;
    }
    waiting = waiting.slice(gone);
    return shown;
  };

  return {
    write: (text, token) => {
      waiting.push({ ...token, written: text });
    },
    attach: (events, outside) => {
      const attached = events.map((event) =>
        event.kind === "text-written" ? { ...event, logprobs: take(event.text) } : event,
      );
      if (outside || events.some((event) => event.kind !== "text-written")) waiting = [];
      return attached;
    },
  };
}

/** JSON has no infinity; this is what OpenAI's service says of what cannot be. */
const IMPOSSIBLE = -9999;

const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : IMPOSSIBLE);

const described = ({ text, bytes, logprob }: LikelyToken) => ({
  token: text,
  logprob: finite(logprob),
  bytes: bytes === null ? null : [...bytes],
});

/** The `content` of a chat choice's `logprobs`. */
export const chatLogprobs = (tokens: readonly TokenLogprob[]) =>
  tokens.map((token) => ({ ...described(token), top_logprobs: token.top.map(described) }));

/** The `logprobs` of a legacy completion; `offset` is where the first token begins in the choice's text. */
export function completionLogprobs(tokens: readonly WrittenLogprob[], offset: number) {
  let at = offset;
  const offsets = tokens.map((token) => {
    const begin = at;
    at += token.written.length;
    return begin;
  });
  return {
    tokens: tokens.map((token) => token.text),
    token_logprobs: tokens.map((token) => finite(token.logprob)),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(token.top.map((other) => [other.text, finite(other.logprob)])),
    ),
    text_offset: offsets,
  };
}
