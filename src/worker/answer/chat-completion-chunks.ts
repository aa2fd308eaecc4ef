import type { ChatCompletion, Completion, FinishReason, Timings, Usage } from "../../protocol/openai/chat.ts";
import type { AnswerEvent } from "./answer-parser.ts";

/** What is the same in every piece of one answer. */
export interface AnswerIdentity {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
}

export interface AnswerEnding {
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  readonly timings: Timings;
}

export const SSE_DONE = "data: [DONE]\n\n";
/** A comment: keeps proxies and clients from giving up while nothing can be said yet. */
export const SSE_KEEP_ALIVE = ": keep-alive\n\n";

export const sseError = (body: unknown): string => `data: ${JSON.stringify(body)}\n\n`;

/**
 * Server-sent events of one answer. The text around a delta is made once per answer: per token there is one
 * string to escape and three to join.
 */
export interface ChunkWriter {
  /** The event that opens the answer. */
  opening(): string;
  events(events: readonly AnswerEvent[]): string;
  /** The finish event, and the usage event when the client asked for one. */
  ending(ending: AnswerEnding, includeUsage: boolean): string;
}

export function createChatChunkWriter(identity: AnswerIdentity, newCallId: () => string): ChunkWriter {
  const { id, created, model } = identity;
  const head = `data: {"id":${JSON.stringify(id)},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(model)}`;
  const delta = (body: string): string =>
    `${head},"choices":[{"index":0,"delta":${body},"finish_reason":null}]}\n\n`;

  const toolCall = (body: string): string => delta(`{"tool_calls":[${body}]}`);
  const one = (event: AnswerEvent): string => {
    if (event.kind === "text-written") return delta(`{"content":${JSON.stringify(event.text)}}`);
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
    ending: (ending, includeUsage) => endingEvents(head, { payload: '"delta":{}', ending, includeUsage }),
  };
}

function endingEvents(
  head: string,
  last: { readonly payload: string; readonly ending: AnswerEnding; readonly includeUsage: boolean },
): string {
  const { finishReason, usage, timings } = last.ending;
  const measured = `"timings":${JSON.stringify(timings)}}\n\n`;
  const finish = `${head},"choices":[{"index":0,${last.payload},"finish_reason":"${finishReason}"}],${measured}`;
  if (!last.includeUsage) return finish;
  return `${finish}${head},"choices":[],"usage":${JSON.stringify(usage)},${measured}`;
}

/** The same for legacy completions, whose answers are text alone. */
export function createCompletionChunkWriter(identity: AnswerIdentity): ChunkWriter {
  const { id, created, model } = identity;
  const head = `data: {"id":${JSON.stringify(id)},"object":"text_completion","created":${created},"model":${JSON.stringify(model)}`;
  return {
    opening: () => "",
    events: (events) => {
      const text = joinedText(events);
      if (text === "") return "";
      return `${head},"choices":[{"index":0,"text":${JSON.stringify(text)},"logprobs":null,"finish_reason":null}]}\n\n`;
    },
    ending: (ending, includeUsage) =>
      endingEvents(head, { payload: '"text":"","logprobs":null', ending, includeUsage }),
  };
}

const joinedText = (events: readonly AnswerEvent[]): string =>
  events.map((event) => (event.kind === "text-written" ? event.text : "")).join("");

/** The whole answer at once, from the same events. */
export function toChatCompletion(
  identity: AnswerIdentity,
  events: readonly AnswerEvent[],
  options: { readonly ending: AnswerEnding; readonly newCallId: () => string },
): ChatCompletion {
  const { ending, newCallId } = options;
  const content = joinedText(events);
  const reasoning = events.map((event) => (event.kind === "reasoning-written" ? event.text : "")).join("");
  const calls = events
    .filter((event) => event.kind === "call-opened")
    .map((start) => ({
      id: newCallId(),
      type: "function" as const,
      function: { name: start.name, arguments: callArguments(events, start.index) },
    }));
  return {
    ...identity,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content === "" && calls.length > 0 ? null : content,
          ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        logprobs: null,
        finish_reason: ending.finishReason,
      },
    ],
    usage: ending.usage,
    timings: ending.timings,
  };
}

const callArguments = (events: readonly AnswerEvent[], index: number): string =>
  events.map((event) => (event.kind === "call-written" && event.index === index ? event.text : "")).join("");

export function toCompletion(
  identity: AnswerIdentity,
  events: readonly AnswerEvent[],
  ending: AnswerEnding,
): Completion {
  return {
    ...identity,
    object: "text_completion",
    choices: [{ index: 0, text: joinedText(events), logprobs: null, finish_reason: ending.finishReason }],
    usage: ending.usage,
    timings: ending.timings,
  };
}
