import { createReasoningStream } from "./reasoning-stream.ts";
import { createStopMatcher } from "./stop-sequences.ts";
import { createToolCallStream, type ToolStreamEvent } from "./tool-call-stream.ts";
import type { AnswerPosition } from "./answer-constraint.ts";

/** What the model's text turns into: reasoning, text and tool calls, in the order they were written. */
export type AnswerEvent =
  /** Text and tool calls of the answer itself. */
  | ToolStreamEvent
  /** The next piece of what the model thinks before it answers. */
  | { readonly kind: "reasoning-written"; readonly text: string };

export interface AnswerParserOptions {
  readonly stops: readonly string[];
  /** Undefined when the model marks no reasoning. */
  readonly reasoning: { readonly startsInside: boolean } | undefined;
  /** Undefined when no tool may be called; then marks of tool calls are text. */
  readonly tools: { readonly several: boolean } | undefined;
}

export interface AnswerParser {
  readonly position: AnswerPosition;
  /** Tool calls that are complete. */
  readonly completedCalls: number;
  /** The stop string that ended the answer, null while none did. */
  readonly stopText: string | null;
  /** `stopped`: a stop string or the only allowed tool call ended the answer; nothing may be pushed after it. */
  push(text: string): { readonly events: readonly AnswerEvent[]; readonly stopped: boolean };
  end(): readonly AnswerEvent[];
}

/** Stop strings act on what the model writes, marks and reasoning included. */
export function createAnswerParser(options: AnswerParserOptions): AnswerParser {
  const stops = createStopMatcher(options.stops);
  const reasoning =
    options.reasoning === undefined ? undefined : createReasoningStream(options.reasoning.startsInside);
  const tools = options.tools === undefined ? undefined : createToolCallStream();
  let completedCalls = 0;
  let stopText: string | null = null;

  const textEvents = (text: string): readonly AnswerEvent[] =>
    tools === undefined ? (text === "" ? [] : [{ kind: "text-written", text }]) : tools.push(text);

  const readReasoning = (text: string): readonly AnswerEvent[] => {
    if (reasoning === undefined) return textEvents(text);
    return reasoning
      .push(text)
      .flatMap((piece) => (piece.kind === "reasoning-written" ? [piece] : textEvents(piece.text)));
  };

  const count = (events: readonly AnswerEvent[]): void => {
    completedCalls += events.filter((event) => event.kind === "call-closed").length;
  };

  return {
    get position() {
      return {
        insideReasoning: reasoning?.inside ?? false,
        insideToolCall: tools?.insideCall ?? false,
        toolCallText: tools?.callText ?? "",
      };
    },
    get completedCalls() {
      return completedCalls;
    },
    get stopText() {
      return stopText;
    },
    push(text) {
      const shown = stops.push(text);
      stopText = shown.stop;
      const events = readReasoning(shown.text);
      count(events);
      const enough = options.tools?.several === false && completedCalls > 0;
      return { events, stopped: shown.stop !== null || enough };
    },
    end() {
      const rest = readReasoning(stops.end());
      const afterReasoning = (reasoning?.end() ?? []).flatMap((piece) =>
        piece.kind === "reasoning-written" ? [piece] : textEvents(piece.text),
      );
      const events = [...rest, ...afterReasoning, ...(tools?.end() ?? [])];
      count(events);
      return events;
    },
  };
}
