import type { Token } from "node-llama-cpp";
import type { Clock } from "../../../core/clock.ts";
import { createIncrementalText } from "../incremental-text.ts";
import type { GenerationJob, GenerationResult, OnText, TextVerdict } from "../inference-engine.ts";
import { describeLogprobs, type FiguredToken } from "./llama-logprobs.ts";
import type { Slot } from "./llama-slots.ts";
import type { TokenTexts } from "./llama-token-texts.ts";
import type { SharedPrompts } from "./shared-prompts.ts";

export type Decoded = Pick<GenerationResult, "ended" | "completionTokens" | "firstTokenAtMs" | "drafted">;

interface AnswerWriterDependencies {
  readonly shared: SharedPrompts;
  readonly tokenTexts: TokenTexts;
  readonly clock: Clock;
}

/** An answer on its way to its reader. */
export interface AnswerWriter {
  /** Kept only where penalties look back. */
  readonly generated: readonly Token[];
  tokensLeft(): number;
  /** Counts a token as written. */
  take(figured: FiguredToken): void;
  /** Tells the reader of a token that was taken. */
  tell(figured: FiguredToken): TextVerdict | Promise<TextVerdict>;
  /** Both. */
  write(figured: FiguredToken): TextVerdict | Promise<TextVerdict>;
  /** Whether the last token was the last one, after the reader was heard. */
  endedBy(heard: TextVerdict): Decoded["ended"] | undefined;
  checked(step: { readonly drafted: number; readonly accepted: number }): void;
  end(ended: Decoded["ended"]): Promise<Decoded>;
}

interface WrittenAnswer {
  readonly job: Pick<GenerationJob, "topLogprobs">;
  readonly slot: Slot;
  readonly onText: OnText;
  /** Tokens that it may have. */
  readonly limit: number;
  readonly keepsHistory: boolean;
}

export function createAnswerWriter(
  { clock, shared, tokenTexts }: AnswerWriterDependencies,
  { job, slot, onText, limit, keepsHistory }: WrittenAnswer,
): AnswerWriter {
  const generated: Token[] = [];
  const text = createIncrementalText<Token>(tokenTexts);
  const drafted = { tokens: 0, accepted: 0 };
  let completionTokens = 0;
  let firstTokenAtMs: number | undefined;
  const take = ({ token }: FiguredToken): void => {
    shared.progressed(slot);
    firstTokenAtMs ??= clock.monotonicMs();
    completionTokens += 1;
    if (keepsHistory) generated.push(token);
  };
  const tell = (figured: FiguredToken): TextVerdict | Promise<TextVerdict> =>
    onText(text.push(figured.token), describeLogprobs(figured, job.topLogprobs, tokenTexts));
  return {
    generated,
    tokensLeft: () => limit - completionTokens,
    take,
    tell,
    write(figured) {
      take(figured);
      return tell(figured);
    },
    endedBy(heard) {
      if (heard === "stop") return "stopped";
      return completionTokens >= limit ? "limit" : undefined;
    },
    checked(step) {
      drafted.tokens += step.drafted;
      drafted.accepted += step.accepted;
    },
    async end(ended) {
      // An end token is a token that was computed, though nothing of it shows.
      if (ended === "end") firstTokenAtMs ??= clock.monotonicMs();
      if (ended !== "stopped") await onText(text.end());
      return { ended, completionTokens, firstTokenAtMs, drafted };
    },
  };
}
