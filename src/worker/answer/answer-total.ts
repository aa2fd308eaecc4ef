import { present } from "../../core/present.ts";
import type { Timings } from "../../protocol/openai/chat.ts";
import type { AnswerEnding, AnswerTotal } from "./chat-completion-chunks.ts";

export interface EndedChoice extends AnswerEnding {
  /** Place of its prompt in the request. */
  readonly prompt: number;
}

/**
 * What several choices cost together. A prompt is paid for once however many answers it has, and what of it came out
 * of the cache is what its first choice found there: that the others find it is the server's own doing.
 */
export function answerTotal(choices: readonly EndedChoice[]): AnswerTotal {
  const [only] = choices;
  if (only !== undefined && choices.length === 1) return { usage: only.usage, timings: only.timings };
  const prompts = choices.filter(
    (choice, index) => choices.findIndex((other) => other.prompt === choice.prompt) === index,
  );
  const promptTokens = sum(prompts, ({ usage }) => usage.prompt_tokens);
  const completionTokens = sum(choices, ({ usage }) => usage.completion_tokens);
  return {
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: {
        cached_tokens: sum(prompts, ({ usage }) => usage.prompt_tokens_details?.cached_tokens ?? 0),
      },
      completion_tokens_details: {
        reasoning_tokens: sum(choices, ({ usage }) => usage.completion_tokens_details?.reasoning_tokens ?? 0),
      },
    },
    timings: totalTimings(choices.map(({ timings }) => timings)),
  };
}

/** Times add up as if the choices had been written one after the other. */
function totalTimings(timings: readonly Timings[]): Timings {
  const promptTokens = sum(timings, (one) => one.prompt_n);
  const promptMs = sum(timings, (one) => one.prompt_ms);
  const predictedTokens = sum(timings, (one) => one.predicted_n);
  const predictedMs = sum(timings, (one) => one.predicted_ms);
  const told = timings.map((one) => one.time_to_first_token_ms).filter((ms) => ms > 0);
  return {
    prompt_n: promptTokens,
    prompt_ms: promptMs,
    prompt_per_second: perSecond(promptTokens, promptMs),
    predicted_n: predictedTokens,
    predicted_ms: predictedMs,
    // The first token of each choice comes out of its prompt's last step.
    predicted_per_second: perSecond(Math.max(0, predictedTokens - timings.length), predictedMs),
    time_to_first_token_ms: told.length === 0 ? 0 : Math.min(...told),
    ...draftTimings({
      tokens: sum(timings, (one) => one.draft_n ?? 0),
      accepted: sum(timings, (one) => one.draft_n_accepted ?? 0),
    }),
  };
}

/** Named as llama.cpp's server names them. */
export const draftTimings = (drafted: {
  readonly tokens: number;
  readonly accepted: number;
}): Pick<Timings, "draft_n" | "draft_n_accepted"> =>
  drafted.tokens === 0 ? {} : { draft_n: drafted.tokens, draft_n_accepted: drafted.accepted };

export const perSecond = (count: number, durationMs: number): number =>
  durationMs > 0 ? (count * 1000) / durationMs : 0;

const sum = <Item>(items: readonly Item[], figure: (item: Item) => number): number =>
  items.reduce((total, item) => total + figure(present(item, "an item of a sum")), 0);
