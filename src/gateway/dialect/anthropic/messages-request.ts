import { CortexError } from "../../../core/errors.ts";
import { given, readRequest } from "../contract/read-request.ts";
import { toChatMessages } from "./chat-messages.ts";
import { messagesRequestSchema, type MessagesRequest } from "./messages-shape.ts";

export const readMessagesRequest = (body: unknown): MessagesRequest =>
  readRequest(messagesRequestSchema, body);

/** What a conversation is, for an answer and for a count alike. */
export const conversationOf = (request: MessagesRequest): Readonly<Record<string, unknown>> => {
  const tools = offeredTools(request);
  return {
    messages: toChatMessages(request),
    ...(tools.length === 0 ? {} : { tools }),
    ...templateVariables(request),
  };
};

/** The OpenAI chat request that asks the same, but for its `model`. */
export function toChatRequest(request: MessagesRequest): Readonly<Record<string, unknown>> {
  return {
    ...conversationOf(request),
    ...(offeredTools(request).length === 0 ? {} : toolChoice(request)),
    ...given("max_tokens", request.max_tokens),
    ...given("temperature", request.temperature),
    ...given("top_p", request.top_p),
    ...given("top_k", request.top_k),
    ...(request.stop_sequences == null || request.stop_sequences.length === 0
      ? {}
      : { stop: request.stop_sequences }),
    ...responseFormat(request),
    ...(request.stream === true ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

/** Tools that Anthropic hosts or defines itself have no schema: no model here can use them, so none is offered them. */
const offeredTools = ({ tools }: MessagesRequest) =>
  (tools ?? [])
    .filter(({ type }) => type === undefined || type === "custom")
    .map(({ name, description, input_schema: parameters }) => ({
      type: "function",
      function: {
        name,
        ...given("description", description),
        parameters: parameters ?? { type: "object", properties: {} },
      },
    }));

function toolChoice({ tool_choice: choice }: MessagesRequest): Readonly<Record<string, unknown>> {
  if (choice == null) return {};
  if (choice.type === "none") return { tool_choice: "none" };
  const one = choice.disable_parallel_tool_use === true ? { parallel_tool_calls: false } : {};
  if (choice.type === "tool") {
    return { tool_choice: { type: "function", function: { name: choice.name } }, ...one };
  }
  return { tool_choice: choice.type === "any" ? "required" : "auto", ...one };
}

/** A template that knows no thinking takes no notice of the variable. */
function templateVariables({ thinking }: MessagesRequest): Readonly<Record<string, unknown>> {
  if (thinking == null) return {};
  return { chat_template_kwargs: { enable_thinking: thinking.type !== "disabled" } };
}

function responseFormat({ output_config: output }: MessagesRequest): Readonly<Record<string, unknown>> {
  const format = output?.format;
  if (format == null) return {};
  const schema = format["schema"];
  if (format.type !== "json_schema" || typeof schema !== "object" || schema === null) {
    throw new CortexError("unsupported_parameter", "`output_config.format` is not a json_schema", {
      param: "output_config.format",
    });
  }
  return { response_format: { type: "json_schema", json_schema: { name: "output", schema } } };
}
