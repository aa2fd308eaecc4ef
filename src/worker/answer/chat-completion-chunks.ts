import type { ChatCompletion, Completion, FinishReason, Timings, Usage } from "../../protocol/openai/chat.ts";
import type { AnswerEvent } from "./answer-parser.ts";
import { chatLogprobs, completionLogprobs } from "./logprobs.ts";
import type { WrittenLogprob } from "./tool-call-stream.ts";

/** What is the same in every piece of one answer. */
export interface AnswerIdentity {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
}

/** What an answer cost. */
export interface AnswerTotal {
  readonly usage: Usage;
  readonly timings: Timings;
}

/** How a choice ended, and what it cost by itself. */
export interface AnswerEnding extends AnswerTotal {
  readonly finishReason: FinishReason;
  /** The stop string that ended it: `stop_reason`, as vLLM calls it. */
  readonly stopText: string | null;
}

export const SSE_DONE = "data: [DONE]\n\n";
/** A comment: keeps proxies and clients from giving up while nothing can be said yet. */
export const SSE_KEEP_ALIVE = ": keep-alive\n\n";

export const sseError = (body: unknown): string => `data: ${JSON.stringify(body)}\n\n`;

/**
 * Server-sent events of one choice. The text around a delta is made once per choice: per token there is one
 * string to escape and three to join.
 */
export interface ChunkWriter {
  /** The event that opens the choice. */
  opening(): string;
  events(events: readonly AnswerEvent[]): string;
  finish(ending: AnswerEnding): string;
}

/** The last chunk of an answer, for clients that ask for it: what all of its choices cost. */
export const usageChunk = (
  kind: "chat.completion.chunk" | "text_completion",
  identity: AnswerIdentity,
  { usage, timings }: AnswerTotal,
): string =>
  `${chunkHead(kind, identity)},"choices":[],"usage":${JSON.stringify(usage)},"timings":${JSON.stringify(timings)}}\n\n`;

const chunkHead = (kind: string, { id, created, model }: AnswerIdentity): string =>
  `data: {"id":${JSON.stringify(id)},"object":"${kind}","created":${created},"model":${JSON.stringify(model)}`;

export function createChatChunkWriter(
  identity: AnswerIdentity,
  { index, newCallId }: { readonly index: number; readonly newCallId: () => string },
): ChunkWriter {
  const head = `${chunkHead("chat.completion.chunk", identity)},"choices":[{"index":${index},"delta":`;
  const delta = (body: string, rest = ""): string => `${head}${body}${rest},"finish_reason":null}]}\n\n`;

  const toolCall = (body: string): string => delta(`{"tool_calls":[${body}]}`);
  const one = (event: AnswerEvent): string => {
    if (event.kind === "text-written") {
      const figures =
        event.logprobs === undefined
          ? ""
          : `,"logprobs":${JSON.stringify({ content: chatLogprobs(event.logprobs), refusal: null })}`;
      return delta(`{"content":${JSON.stringify(event.text)}}`, figures);
    }
    if (event.kind === "reasoning-written")
      return delta(`{"reasoning_content":${JSON.stringify(event.text)}}`);
    if (event.kind === "call-closed") return "";
    if (event.kind === "call-written") {
      return toolCall(`{"index":${event.index},"function":{"arguments":${JSON.stringify(event.text)}}}`);
    }
    const called = JSON.stringify({ name: event.name, arguments: "" });
    return toolCall(`{"index":${event.index},"id":"${newCallId()}","type":"function","function":${called}}`);
  };

  return {
    opening: () => delta('{"role":"assistant","content":""}'),
    events: (events) => events.map(one).join(""),
    finish: (ending) => `${head}{},${finished(ending)}`,
  };
}

const finished = ({ finishReason, stopText, timings }: AnswerEnding): string =>
  `"finish_reason":"${finishReason}"${stopText === null ? "" : `,"stop_reason":${JSON.stringify(stopText)}`}}],"timings":${JSON.stringify(timings)}}\n\n`;

const stopReason = ({ stopText }: AnswerEnding) => (stopText === null ? {} : { stop_reason: stopText });

/** The same for legacy completions, whose answers are text alone. */
export function createCompletionChunkWriter(identity: AnswerIdentity, index: number): ChunkWriter {
  const head = `${chunkHead("text_completion", identity)},"choices":[{"index":${index},"text":`;
  let offset = 0;
  return {
    opening: () => "",
    events: (events) => {
      const text = joinedText(events);
      const tokens = writtenTokens(events);
      if (text === "" && tokens === undefined) return "";
      const figures = tokens === undefined ? null : completionLogprobs(tokens, offset);
      offset += text.length;
      return `${head}${JSON.stringify(text)},"logprobs":${JSON.stringify(figures)},"finish_reason":null}]}\n\n`;
    },
    finish: (ending) => `${head}"","logprobs":null,${finished(ending)}`,
  };
}

const joinedText = (events: readonly AnswerEvent[]): string =>
  events.map((event) => (event.kind === "text-written" ? event.text : "")).join("");

/** Undefined when no figures were asked for. */
function writtenTokens(events: readonly AnswerEvent[]): readonly WrittenLogprob[] | undefined {
  const told = events.flatMap((event) =>
    event.kind === "text-written" && event.logprobs !== undefined ? [event.logprobs] : [],
  );
  return told.length === 0 ? undefined : told.flat();
}

export interface WrittenChoice {
  readonly events: readonly AnswerEvent[];
  readonly ending: AnswerEnding;
}

/** The whole answer at once, from the same events. */
export function toChatCompletion(
  identity: AnswerIdentity,
  choices: readonly WrittenChoice[],
  { usage, timings, newCallId }: AnswerTotal & { readonly newCallId: () => string },
): ChatCompletion {
  return {
    ...identity,
    object: "chat.completion",
    choices: choices.map((choice, index) => chatChoice(index, choice, newCallId)),
    usage,
    timings,
  };
}

function chatChoice(
  index: number,
  { events, ending }: WrittenChoice,
  newCallId: () => string,
): ChatCompletion["choices"][number] {
  const content = joinedText(events);
  const tokens = writtenTokens(events);
  const reasoning = events.map((event) => (event.kind === "reasoning-written" ? event.text : "")).join("");
  const calls = events
    .filter((event) => event.kind === "call-opened")
    .map((start) => ({
      id: newCallId(),
      type: "function" as const,
      function: { name: start.name, arguments: callArguments(events, start.index) },
    }));
  return {
    index,
    message: {
      role: "assistant",
      content: content === "" && calls.length > 0 ? null : content,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    },
    logprobs: tokens === undefined ? null : { content: chatLogprobs(tokens), refusal: null },
    finish_reason: ending.finishReason,
    ...stopReason(ending),
  };
}

const callArguments = (events: readonly AnswerEvent[], index: number): string =>
  events.map((event) => (event.kind === "call-written" && event.index === index ? event.text : "")).join("");

export function toCompletion(
  identity: AnswerIdentity,
  choices: readonly WrittenChoice[],
  { usage, timings }: AnswerTotal,
): Completion {
  return {
    ...identity,
    object: "text_completion",
    choices: choices.map(({ events, ending }, index) => {
      const tokens = writtenTokens(events);
      return {
        index,
        text: joinedText(events),
        logprobs: tokens === undefined ? null : completionLogprobs(tokens, 0),
        finish_reason: ending.finishReason,
        ...stopReason(ending),
      };
    }),
    usage,
    timings,
  };
}
