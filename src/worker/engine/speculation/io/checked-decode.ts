import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import { createDrafting, type Guesser } from "../drafting.ts";
import { startChecked, type CheckedToken } from "./checked-step.ts";

export interface Speculation {
  /** Look for the last tokens in the text so far. */
  readonly looksUp: boolean;
  readonly guesser: Guesser | undefined;
}

/** The place of an answer among those who are computed. */
interface Line {
  /** Nobody else has anything to compute. */
  isAlone(): boolean;
  /** Undefined, or what to wait for before the next step. */
  holdBack(): Promise<void> | undefined;
  /** Nobody waits for this answer until it is heard of again. */
  leave(): void;
  betweenSteps(work: () => Promise<void>): Promise<void>;
}

/** An answer on its way to its reader. */
interface Writer<Heard extends string, Ended extends string> {
  write(token: CheckedToken): Heard | Promise<Heard>;
  /** Why the last token was the last one, if it was. */
  endedBy(heard: Heard): Ended | undefined;
  /** Tokens that it may still have. */
  tokensLeft(): number;
  checked(step: { readonly drafted: number; readonly accepted: number }): void;
}

interface CheckedAnswer<Heard extends string, Ended extends string> {
  readonly sequence: LlamaContextSequence;
  readonly options: SequenceEvaluateOptions;
  readonly figures: { readonly confidence?: boolean; readonly probabilities?: boolean };
  readonly prompt: readonly number[];
  /** The last tokens of the prompt, whose step writes the first token. */
  readonly lastPiece: readonly Token[];
  readonly line: Line;
  readonly writer: Writer<Heard, Ended>;
  readonly endsAnswer: (token: Token) => boolean;
  /** Throws where the answer must not go on. */
  readonly mayGoOn: () => void;
}

interface Step<Heard, Ended> {
  last: Token | undefined;
  ended: Ended | "end" | undefined;
  /** Wants to be waited for. */
  reader: Promise<Heard> | undefined;
}

/**
 * Writes an answer with drafts, as long as no other stream wants to be computed: of slots with unequal numbers of tokens
 * llama.cpp computes the surplus apart, and reads all weights once more.
 */
export async function decodeChecked<Heard extends string, Ended extends string>(
  answer: CheckedAnswer<Heard, Ended>,
  speculation: Speculation,
): Promise<Ended | "end"> {
  const { sequence, options, figures, prompt, line, writer } = answer;
  const drafting = createDrafting({ prompt, ...speculation });
  const checked = startChecked({
    sequence,
    options,
    figures,
    betweenSteps: (work) => line.betweenSteps(work),
  });
  const isAlone = (): boolean => line.isAlone();
  let tokens = answer.lastPiece;
  let draft: readonly Token[] = [];
  try {
    while (true) {
      const step: Step<Heard, Ended> = { last: undefined, ended: undefined, reader: undefined };
      const held = line.holdBack();
      if (held !== undefined) await held;
      const accepted = await checked.step(tokens, draft, (token) => {
        if (!takeToken(answer, step, token)) return false;
        drafting.push(token.token);
        return true;
      });
      answer.mayGoOn();
      const outcome = { drafted: draft.length, accepted };
      writer.checked(outcome);
      drafting.checked(outcome);
      const { reader, last } = step;
      if (reader !== undefined && last !== undefined) {
        line.leave();
        step.ended = writer.endedBy(await reader);
        drafting.push(last);
      }
      if (step.ended !== undefined || last === undefined) return step.ended ?? "end";
      tokens = [last];
      // The last place of the context is the binding's to shift at.
      const room = Math.min(writer.tokensLeft() - 1, sequence.contextSize - sequence.nextTokenIndex - 2);
      const guessed = isAlone() ? drafting.draft(room, isAlone) : [];
      if (guessed instanceof Promise) line.leave();
      draft = (await guessed) as readonly Token[];
    }
  } finally {
    checked.end();
  }
}

/** True when the answer goes on at once. */
function takeToken<Heard extends string, Ended extends string>(
  { endsAnswer, writer }: CheckedAnswer<Heard, Ended>,
  step: Step<Heard, Ended>,
  token: CheckedToken,
): boolean {
  if (endsAnswer(token.token)) {
    step.ended = "end";
    return false;
  }
  step.last = token.token;
  const heard = writer.write(token);
  if (typeof heard !== "string") {
    step.reader = heard;
    return false;
  }
  step.ended = writer.endedBy(heard);
  return step.ended === undefined;
}
