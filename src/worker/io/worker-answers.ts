import type { ServerResponse } from "node:http";
import { toCortexError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { FinishReason } from "../../protocol/openai/chat.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import type { TokenUsage } from "../../protocol/headers/usage-header.ts";
import type { AnswerTimings } from "../../protocol/headers/timings-header.ts";
import type { AnswerEvent } from "../answer/answer-parser.ts";
import { answerTotal, draftTimings, perSecond, type EndedChoice } from "../answer/answer-total.ts";
import {
  SSE_DONE,
  sseError,
  type AnswerTotal,
  type ChunkWriter,
  type WrittenChoice,
} from "../answer/chat-completion-chunks.ts";
import { createLogprobAligner } from "../answer/logprobs.ts";
import type { PreparedAnswer, PreparedChoice } from "../answer/prepare-answer.ts";
import type { AdmittedGeneration, GenerationResult } from "../engine/inference-engine.ts";
import { runChoices, type Admitting } from "./choice-lanes.ts";
import { openSseStream } from "./sse-stream.ts";

export interface RunningAnswer {
  readonly prepared: PreparedAnswer;
  readonly engine: Admitting;
  /** Of the first choice. */
  readonly admitted: AdmittedGeneration;
  readonly clock: Clock;
  /** Monotonic time at which the request arrived. */
  readonly arrivedAtMs: number;
  /** Whoever asked draws a trace, and is told where the time went. */
  readonly isTraced: boolean;
  /** Ends the other choices when one fails. */
  readonly abort: (reason: unknown) => void;
}

type OnEvents = (events: readonly AnswerEvent[]) => Promise<void> | undefined;

interface RunningChoice {
  readonly choice: PreparedChoice;
  readonly admitted: AdmittedGeneration;
  readonly arrivedAtMs: number;
}

/** Runs one choice through its parser; `onEvents` may hold it back with a promise. */
async function runChoice(running: RunningChoice, onEvents: OnEvents): Promise<EndedChoice> {
  const { parser, echo, job } = running.choice;
  const aligner = job.topLogprobs === undefined ? undefined : createLogprobAligner();
  let reasoningTokens = 0;
  if (echo !== "") await onEvents([{ kind: "text-written", text: echo }]);
  const align = (events: readonly AnswerEvent[]): readonly AnswerEvent[] =>
    aligner === undefined
      ? events
      : aligner.attach(events, parser.position.insideReasoning || parser.position.insideToolCall);
  const result = await running.admitted.run((text, logprob) => {
    if (parser.position.insideReasoning) reasoningTokens += 1;
    if (logprob !== undefined) aligner?.write(text, logprob);
    if (text === "") return "continue";
    const { events, stopped } = parser.push(text);
    const verdict = stopped ? "stop" : "continue";
    const aligned = align(events);
    const held = aligned.length === 0 ? undefined : onEvents(aligned);
    return held === undefined ? verdict : held.then(() => verdict);
  });
  const rest = align(parser.end());
  if (rest.length > 0) await onEvents(rest);
  return describeEnding(running, result, reasoningTokens);
}

function finishReason({ choice }: RunningChoice, result: GenerationResult): FinishReason {
  if (result.ended === "limit") return "length";
  return choice.parser.completedCalls > 0 ? "tool_calls" : "stop";
}

function describeEnding(
  running: RunningChoice,
  result: GenerationResult,
  reasoningTokens: number,
): EndedChoice {
  const { promptTokens, cachedTokens, completionTokens, promptMs, predictedMs, firstTokenAtMs } = result;
  const computed = promptTokens - cachedTokens;
  // The first token comes out of the prompt's last step; the decode time covers the ones after it.
  const decoded = Math.max(0, completionTokens - 1);
  return {
    prompt: running.choice.prompt,
    finishReason: finishReason(running, result),
    stopText: running.choice.parser.stopText,
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: cachedTokens },
      completion_tokens_details: { reasoning_tokens: Math.min(reasoningTokens, completionTokens) },
    },
    timings: {
      prompt_n: computed,
      prompt_ms: promptMs,
      prompt_per_second: perSecond(computed, promptMs),
      predicted_n: completionTokens,
      predicted_ms: predictedMs,
      predicted_per_second: perSecond(decoded, predictedMs),
      time_to_first_token_ms: firstTokenAtMs === undefined ? 0 : firstTokenAtMs - running.arrivedAtMs,
      ...draftTimings(result.drafted),
    },
  };
}

/** Runs all choices; `onEvents` is told of which one. */
async function runAnswer(
  answer: RunningAnswer,
  onEvents: (index: number) => OnEvents,
  onEnd: (index: number, ending: EndedChoice) => void,
): Promise<AnswerTotal> {
  const { choices } = answer.prepared;
  const endings = await runChoices(
    { jobs: choices.map((choice) => choice.job), first: answer.admitted, engine: answer.engine },
    async (index, admitted) => {
      const choice = choices[index] ?? choices[0];
      try {
        const running = { choice, admitted, arrivedAtMs: answer.arrivedAtMs };
        const ending = await runChoice(running, onEvents(index));
        onEnd(index, ending);
        return ending;
      } catch (thrown) {
        answer.abort(thrown);
        throw thrown;
      }
    },
  );
  return answerTotal(endings);
}

export interface CollectedAnswer {
  readonly choices: readonly WrittenChoice[];
  readonly total: AnswerTotal;
}

/** The whole answer: what happened in each choice, how it ended, and what all of them cost. */
export async function collectAnswer(answer: RunningAnswer): Promise<CollectedAnswer> {
  const events = answer.prepared.choices.map((): AnswerEvent[] => []);
  const endings: EndedChoice[] = [];
  const total = await runAnswer(
    answer,
    (index) => (more) => {
      events[index]?.push(...more);
      return undefined;
    },
    (index, ending) => {
      endings[index] = ending;
    },
  );
  return { choices: endings.map((ending, index) => ({ events: events[index] ?? [], ending })), total };
}

export interface AnswerWriters {
  readonly choice: (index: number) => ChunkWriter;
  readonly usage: (total: AnswerTotal) => string;
}

/**
 * The answer as it is written. Once the stream is open a failure can only be said inside it: an `error` event,
 * and no `[DONE]`, so that no client takes the broken answer for a whole one.
 */
export async function streamAnswer(
  answer: RunningAnswer,
  writers: AnswerWriters,
  response: ServerResponse,
): Promise<void> {
  const { choices, includeUsage } = answer.prepared;
  const { signal } = choices[0].job;
  const stream = openSseStream(response, answer.clock, promptTokensOf(choices));
  const open = choices.map((_, index) => ({ writer: writers.choice(index), opened: false }));
  let usage: TokenUsage | undefined;
  let timings: AnswerTimings | undefined;
  const write = (index: number, text: (writer: ChunkWriter) => string): void => {
    const choice = open[index];
    if (choice === undefined) return;
    const { writer } = choice;
    stream.send(choice.opened ? text(writer) : writer.opening() + text(writer));
    choice.opened = true;
  };
  let left = false;
  try {
    const total = await runAnswer(
      {
        ...answer,
        abort: (reason) => {
          left ||= signal.aborted;
          answer.abort(reason);
        },
      },
      (index) => (events) => {
        write(index, (writer) => writer.events(events));
        return stream.ready();
      },
      (index, ending) => write(index, (writer) => writer.finish(ending)),
    );
    if (includeUsage) stream.send(writers.usage(total));
    stream.send(SSE_DONE);
    usage = toTokenUsage(total.usage);
    if (answer.isTraced) timings = timingsOf(total);
  } catch (thrown) {
    stream.send(sseError(toErrorResponse(toCortexError(thrown)).body));
    if (!left) throw thrown;
  } finally {
    stream.end(usage, timings);
  }
}

/** The first token comes out of the prompt's last step: what was before the prompt is the wait for a slot. */
export const timingsOf = ({ timings }: AnswerTotal): AnswerTimings => ({
  queueMs: Math.max(0, timings.time_to_first_token_ms - timings.prompt_ms),
  prefillMs: timings.prompt_ms,
  decodeMs: timings.predicted_ms,
});

/** The usage of an answer as the header and the trailer say it. */
export const toTokenUsage = (usage: AnswerTotal["usage"]): TokenUsage => ({
  promptTokens: usage.prompt_tokens,
  completionTokens: usage.completion_tokens,
  cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
  reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
});

/** Several answers to one prompt pay for it once. */
const promptTokensOf = (choices: PreparedAnswer["choices"]): number =>
  [...new Map(choices.map(({ prompt, job }) => [prompt, job.promptTokens.length])).values()].reduce(
    (sum, tokens) => sum + tokens,
    0,
  );
