import { CortexError } from "../../../core/errors.ts";
import { given, readRequest } from "../contract/read-request.ts";
import { toChatMessages, type SaidItems } from "./input-messages.ts";
import type { ToolSet } from "./offered-tools.ts";
import { responsesRequestSchema, type ResponsesRequest } from "./responses-shape.ts";

export function readResponsesRequest(body: unknown): ResponsesRequest {
  const request = readRequest(responsesRequestSchema, body);
  for (const refusal of REFUSED) {
    if (!refusal.isAsked(request)) continue;
    const { param, because, next } = refusal;
    throw new CortexError("unsupported_parameter", `\`${param}\`: ${because}`, { param, next });
  }
  return request;
}

interface Refusal {
  readonly param: string;
  readonly isAsked: (request: ResponsesRequest) => boolean;
  readonly because: string;
  readonly next: string;
}

/** What would change the answer and cannot be given. */
const REFUSED: readonly Refusal[] = [
  {
    param: "conversation",
    isAsked: (request) => request.conversation != null,
    because: "no conversation is kept under a name here",
    next: "go on by `previous_response_id`, or send the whole conversation as `input`",
  },
  {
    param: "prompt",
    isAsked: (request) => request.prompt != null,
    because: "no prompt is stored here",
    next: "send its text as `instructions` or `input`",
  },
  {
    param: "background",
    isAsked: (request) => request.background === true,
    because: "answers are not kept for later",
    next: "leave it out, and stream the answer",
  },
  {
    param: "top_logprobs",
    isAsked: (request) =>
      (request.top_logprobs ?? 0) > 0 || request.include?.includes("message.output_text.logprobs") === true,
    because: "this route tells no log probabilities",
    next: "ask /v1/chat/completions for them",
  },
];

/** The OpenAI chat request that asks the same, but for its `model`. */
export function toChatRequest(
  request: ResponsesRequest,
  tools: ToolSet,
  items: SaidItems,
): Readonly<Record<string, unknown>> {
  const toolFields = tools.chatFields(request.tool_choice);
  return {
    messages: toChatMessages({ instructions: request.instructions, ...items }, tools),
    ...toolFields,
    ...("tools" in toolFields ? given("parallel_tool_calls", request.parallel_tool_calls) : {}),
    ...templateVariables(request),
    ...given("max_tokens", request.max_output_tokens),
    ...given("temperature", request.temperature),
    ...given("top_p", request.top_p),
    ...responseFormat(request),
    ...(request.stream === true ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

/** A template that knows no reasoning takes no notice of the variables: agents ask every model for some effort. */
function templateVariables({ reasoning }: ResponsesRequest): Readonly<Record<string, unknown>> {
  const effort = reasoning?.effort;
  if (effort == null) return {};
  if (effort === "none") return { chat_template_kwargs: { enable_thinking: false } };
  return { chat_template_kwargs: { enable_thinking: true, reasoning_effort: effort } };
}

function responseFormat({ text }: ResponsesRequest): Readonly<Record<string, unknown>> {
  const format = text?.format;
  if (format == null || format.type === "text") return {};
  if (format.type === "json_object") return { response_format: { type: "json_object" } };
  const { name, schema } = format;
  return { response_format: { type: "json_schema", json_schema: { name: name ?? "output", schema } } };
}
