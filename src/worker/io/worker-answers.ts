import type { ServerResponse } from "node:http";
import { toCortexError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { FinishReason } from "../../protocol/openai/chat.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import type { AnswerEvent } from "../answer/answer-parser.ts";
import { SSE_DONE, sseError, type AnswerEnding, type ChunkWriter } from "../answer/chat-completion-chunks.ts";
import type { AdmittedGeneration, GenerationResult } from "../engine/inference-engine.ts";
import type { PreparedAnswer } from "../answer/prepare-answer.ts";
import { openSseStream } from "./sse-stream.ts";

export interface RunningAnswer {
  readonly prepared: PreparedAnswer;
  readonly admitted: AdmittedGeneration;
  readonly clock: Clock;
  /** Monotonic time at which the request arrived. */
  readonly arrivedAtMs: number;
}

type OnEvents = (events: readonly AnswerEvent[]) => Promise<void> | undefined;

/** Runs the generation through the parser; `onEvents` may hold it back with a promise. */
async function runAnswer(answer: RunningAnswer, onEvents: OnEvents): Promise<AnswerEnding> {
  const { parser, echo } = answer.prepared;
  let reasoningTokens = 0;
  if (echo !== "") await onEvents([{ kind: "text-written", text: echo }]);
  const result = await answer.admitted.run((text) => {
    if (parser.position.insideReasoning) reasoningTokens += 1;
    if (text === "") return "continue";
    const { events, stopped } = parser.push(text);
    const verdict = stopped ? "stop" : "continue";
    const held = events.length === 0 ? undefined : onEvents(events);
    return held === undefined ? verdict : held.then(() => verdict);
  });
  const rest = parser.end();
  if (rest.length > 0) await onEvents(rest);
  return describeEnding(answer, result, reasoningTokens);
}

function finishReason(answer: RunningAnswer, result: GenerationResult): FinishReason {
  if (result.ended === "limit") return "length";
  return answer.prepared.parser.completedCalls > 0 ? "tool_calls" : "stop";
}

const perSecond = (count: number, durationMs: number): number =>
  durationMs > 0 ? (count * 1000) / durationMs : 0;

function describeEnding(
  answer: RunningAnswer,
  result: GenerationResult,
  reasoningTokens: number,
): AnswerEnding {
  const { promptTokens, cachedTokens, completionTokens, promptMs, predictedMs, firstTokenAtMs } = result;
  const computed = promptTokens - cachedTokens;
  // The first token comes out of the prompt's last step; the decode time covers the ones after it.
  const decoded = Math.max(0, completionTokens - 1);
  return {
    finishReason: finishReason(answer, result),
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
      time_to_first_token_ms: firstTokenAtMs === undefined ? 0 : firstTokenAtMs - answer.arrivedAtMs,
    },
  };
}

/** The whole answer: what happened in it, and how it ended. */
export async function collectAnswer(answer: RunningAnswer): Promise<{
  readonly events: readonly AnswerEvent[];
  readonly ending: AnswerEnding;
}> {
  const events: AnswerEvent[] = [];
  const ending = await runAnswer(answer, (more) => {
    events.push(...more);
    return undefined;
  });
  return { events, ending };
}

/**
 * The answer as it is written. Once the stream is open a failure can only be said inside it: an `error` event,
 * and no `[DONE]`, so that no client takes the broken answer for a whole one.
 */
export async function streamAnswer(
  answer: RunningAnswer,
  writer: ChunkWriter,
  response: ServerResponse,
): Promise<void> {
  const stream = openSseStream(response, answer.clock);
  let opened = false;
  const sendEvents: OnEvents = (events) => {
    stream.send(opened ? writer.events(events) : writer.opening() + writer.events(events));
    opened = true;
    return stream.ready();
  };
  try {
    const ending = await runAnswer(answer, sendEvents);
    if (!opened) stream.send(writer.opening());
    stream.send(writer.ending(ending, answer.prepared.includeUsage));
    stream.send(SSE_DONE);
  } catch (thrown) {
    stream.send(sseError(toErrorResponse(toCortexError(thrown)).body));
    if (!answer.prepared.job.signal.aborted) throw thrown;
  } finally {
    stream.end();
  }
}
