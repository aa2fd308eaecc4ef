import type { AnswerIdentity } from "../contract/dialect.ts";
import { completionSchema, type Completion, type ReadUsage } from "../contract/openai-answer.ts";
import { customInput, type CalledTool, type ToolSet } from "./offered-tools.ts";
import { sealedThought } from "./reasoning-item.ts";
import type { ResponsesRequest } from "./responses-shape.ts";

/** What of a request its answer depends on. */
export interface Asked {
  readonly id: string;
  readonly request: ResponsesRequest;
  readonly tools: ToolSet;
  readonly identity: AnswerIdentity;
  /** The answer can be gone on from by its id. */
  readonly isKept: boolean;
  /** The answer is whole, with these items. */
  readonly keep: (output: readonly unknown[]) => void;
}

type ItemStatus = "in_progress" | "completed" | "incomplete";

interface ItemHead {
  readonly id: string;
  readonly status: ItemStatus;
}

export const textPart = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] });

export const messageItem = ({ id, status }: ItemHead, text: string | null) => ({
  id,
  type: "message",
  status,
  role: "assistant",
  content: text === null ? [] : [textPart(text)],
});

export const summaryPart = (text: string) => ({ type: "summary_text", text });

export const reasoningItem = ({ id, status }: ItemHead, text: string | null, { request }: Asked) => ({
  id,
  type: "reasoning",
  status,
  summary: text === null ? [] : [summaryPart(text)],
  ...(text !== null && request.include?.includes("reasoning.encrypted_content") === true
    ? { encrypted_content: sealedThought(text) }
    : {}),
});

export interface Call {
  readonly callId: string;
  readonly tool: CalledTool;
  readonly argumentsText: string;
}

export function callItem({ id, status }: ItemHead, { callId, tool, argumentsText }: Call) {
  const { kind, name, namespace } = tool;
  const called = { status, call_id: callId, name, ...(namespace === undefined ? {} : { namespace }) };
  return kind === "custom"
    ? ({ id, type: "custom_tool_call", ...called, input: customInput(argumentsText) } as const)
    : ({ id, type: "function_call", ...called, arguments: argumentsText } as const);
}

const usageOf = (usage: ReadUsage) => ({
  input_tokens: usage.prompt_tokens,
  input_tokens_details: {
    cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    cache_write_tokens: 0,
  },
  output_tokens: usage.completion_tokens,
  output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
  total_tokens: usage.prompt_tokens + usage.completion_tokens,
});

export interface ResponseState {
  readonly status: "in_progress" | "completed" | "incomplete" | "failed";
  readonly output: readonly unknown[];
  readonly usage?: ReadUsage | null | undefined;
  readonly incompleteReason?: string | null;
  readonly error?: unknown;
}

/** Why an answer is not whole; null where it is. */
export function incompleteReason(finishReason: string | null | undefined): string | null {
  if (finishReason === "length") return "max_output_tokens";
  return finishReason === "content_filter" ? "content_filter" : null;
}

/** What answers repeat of a request, with what stands there where it says nothing. */
const REPEATED = {
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: true,
  reasoning: { effort: null, summary: null },
  temperature: null,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_p: null,
} as const;

const repeated = (request: ResponsesRequest): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(REPEATED).map(([field, neutral]) => [field, request[field] ?? neutral]));

/** The response as it stands. */
export const responseObject = ({ id, request, identity, isKept }: Asked, state: ResponseState) => ({
  id,
  object: "response",
  created_at: identity.nowSecs,
  status: state.status,
  background: false,
  error: state.error ?? null,
  incomplete_details: state.incompleteReason == null ? null : { reason: state.incompleteReason },
  // What was asked for, not what it stands for.
  model: request.model,
  output: state.output,
  ...repeated(request),
  previous_response_id: request.previous_response_id ?? null,
  store: isKept,
  truncation: "disabled",
  usage: state.usage == null ? null : usageOf(state.usage),
});

/** A whole answer. Throws on what is no completion. */
export function toResponse(answer: unknown, asked: Asked) {
  const { choices, usage } = completionSchema.parse(answer);
  const [choice] = choices;
  const reason = incompleteReason(choice?.finish_reason);
  const items = choice === undefined ? [] : itemsOf(choice.message, asked);
  const output = items.map((item, index) =>
    item(reason !== null && index === items.length - 1 ? "incomplete" : "completed"),
  );
  const status = reason === null ? "completed" : "incomplete";
  asked.keep(output);
  return responseObject(asked, { status, incompleteReason: reason, usage, output });
}

type ItemOf = (status: ItemStatus) => unknown;

/** Reasoning, text, calls, in this order; text that is empty only where there is nothing else. */
function itemsOf(message: Completion["choices"][number]["message"], asked: Asked): ItemOf[] {
  const { tools, identity } = asked;
  const thinking = message.reasoning_content ?? "";
  const text = message.content ?? "";
  const calls = message.tool_calls ?? [];
  const head = (prefix: string, status: ItemStatus) => ({ id: `${prefix}_${identity.newId()}`, status });
  const thought: ItemOf = (status) => reasoningItem(head("rs", status), thinking, asked);
  const said: ItemOf = (status) => messageItem(head("msg", status), text);
  return [
    ...(thinking === "" ? [] : [thought]),
    ...(text === "" && (thinking !== "" || calls.length > 0) ? [] : [said]),
    ...calls.map(({ id, function: { name, arguments: json } }): ItemOf => {
      const call = { callId: id, tool: tools.called(name), argumentsText: json === "" ? "{}" : json };
      return (status) => callItem(head("fc", status), call);
    }),
  ];
}
