import { parseJson } from "../../../core/json.ts";
import { completionSchema, type ReadUsage } from "../contract/openai-answer.ts";

export interface MessageIdentity {
  readonly id: string;
  /** What the client asked for. */
  readonly model: string;
}

/**
 * Stands where Anthropic signs what its models think. Clients send it back with the thinking, and some drop a block
 * without one; nothing here depends on it, so that another's is as good.
 */
export const SIGNATURE = Buffer.from("cortex").toString("base64");

/** Cached tokens are told apart, as Anthropic does: not once more among the others. */
export const messageUsage = (usage: ReadUsage | null | undefined) => {
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  return {
    input_tokens: Math.max(0, (usage?.prompt_tokens ?? 0) - cached),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: usage?.completion_tokens ?? 0,
  };
};

export interface Stop {
  readonly stop_reason: "end_turn" | "max_tokens" | "stop_sequence" | "tool_use" | "refusal";
  readonly stop_sequence: string | null;
}

export function stopOf(
  finishReason: string | null | undefined,
  stopText: string | number | null | undefined,
): Stop {
  if (finishReason === "tool_calls") return { stop_reason: "tool_use", stop_sequence: null };
  if (finishReason === "length") return { stop_reason: "max_tokens", stop_sequence: null };
  if (finishReason === "content_filter") return { stop_reason: "refusal", stop_sequence: null };
  if (typeof stopText === "string") return { stop_reason: "stop_sequence", stop_sequence: stopText };
  return { stop_reason: "end_turn", stop_sequence: null };
}

/** A whole answer: thinking, text, calls, in this order. Throws on what is no completion. */
export function toMessage(answer: unknown, { id, model }: MessageIdentity) {
  const { choices, usage } = completionSchema.parse(answer);
  const [choice] = choices;
  const { content, reasoning_content: thinking, tool_calls: calls } = choice?.message ?? {};
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(thinking == null || thinking === "" ? [] : [{ type: "thinking", thinking, signature: SIGNATURE }]),
      ...(content == null || content === "" ? [] : [{ type: "text", text: content }]),
      ...(calls ?? []).map((call) => ({
        type: "tool_use",
        id: call.id,
        name: call.function.name,
        input: parseJson(call.function.arguments) ?? {},
      })),
    ],
    ...stopOf(choice?.finish_reason, choice?.stop_reason),
    usage: messageUsage(usage),
  };
}
