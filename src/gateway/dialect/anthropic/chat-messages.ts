import { CortexError } from "../../../core/errors.ts";
import { plainWherePossible, type ChatMessage, type ContentPart } from "../contract/chat-message.ts";
import type { AnthropicMessage, ContentBlock, MessagesRequest } from "./messages-shape.ts";

/**
 * The conversation in the order in which it was sent. One message of a user may hold results of tools and text:
 * results become messages of their own, in their order, before the text.
 */
export function toChatMessages({ system, messages }: MessagesRequest): ChatMessage[] {
  const preamble = systemText(system);
  return [
    ...(preamble === "" ? [] : [{ role: "system", content: preamble } as const]),
    ...messages.flatMap((message, index) => toMessages(message, `messages.${index}`)),
  ];
}

/** Blocks of a system prompt are paragraphs of one. */
function systemText(system: MessagesRequest["system"]): string {
  if (system == null) return "";
  return typeof system === "string" ? system : system.map(({ text }) => text).join("\n\n");
}

function toMessages({ role, content }: AnthropicMessage, at: string): ChatMessage[] {
  if (typeof content === "string") return [{ role, content }];
  if (role === "assistant") return [assistantMessage(content)];
  const results = content.flatMap((block, index) =>
    block.type === "tool_result" ? [toolMessage(block, `${at}.content.${index}`)] : [],
  );
  const parts = content.flatMap((block, index) =>
    block.type === "tool_result" ? [] : userParts(block, `${at}.content.${index}`),
  );
  return parts.length === 0 ? results : [...results, { role, content: plainWherePossible(parts) }];
}

const textOf = (block: ContentBlock, field = "text"): string => {
  const text = block[field];
  return typeof text === "string" ? text : "";
};

/** Empty text beside calls is no text at all. */
function assistantMessage(blocks: readonly ContentBlock[]): ChatMessage {
  const ofType = (type: string) => blocks.filter((block) => block.type === type);
  const text = ofType("text")
    .map((block) => textOf(block))
    .join("");
  const thinking = ofType("thinking")
    .map((block) => textOf(block, "thinking"))
    .join("");
  const calls = ofType("tool_use").map((block) => ({
    id: textOf(block, "id"),
    type: "function",
    function: { name: textOf(block, "name"), arguments: JSON.stringify(block["input"] ?? {}) },
  }));
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    ...(thinking === "" ? {} : { reasoning_content: thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

/** OpenAI has no field for a failed tool, so that its text must say it. */
function toolMessage(block: ContentBlock, at: string): ChatMessage {
  const { content } = block;
  const parts =
    typeof content === "string"
      ? [{ type: "text", text: content } as const]
      : Array.isArray(content)
        ? content.flatMap((part: unknown, index) => userParts(asBlock(part), `${at}.content.${index}`))
        : [];
  const result = plainWherePossible(parts);
  const failed = block["is_error"] === true && typeof result === "string" && !/^\s*error\b/i.test(result);
  return {
    role: "tool",
    tool_call_id: textOf(block, "tool_use_id"),
    content: failed ? `Error: ${result}` : result,
  };
}

const asBlock = (part: unknown): ContentBlock =>
  typeof part === "object" && part !== null && "type" in part && typeof part.type === "string"
    ? (part as ContentBlock)
    : { type: "unknown" };

/** What Anthropic itself put into a conversation for tools that it hosts: there is nothing here to make of it. */
const HOSTED = /^(?:server_tool_use|.+_tool_result|redacted_thinking|container_upload|search_result)$/;

function userParts(block: ContentBlock, at: string): ContentPart[] {
  if (block.type === "text") return [{ type: "text", text: textOf(block) }];
  if (block.type === "image") return [{ type: "image_url", image_url: { url: imageUrl(block, at) } }];
  if (block.type === "document") return [{ type: "text", text: documentText(block, at) }];
  if (block.type === "thinking" || HOSTED.test(block.type)) return [];
  throw new CortexError(
    "unsupported_parameter",
    `\`${at}\`: a block of type ${block.type} has no meaning here`,
    {
      param: at,
    },
  );
}

function sourceOf(block: ContentBlock): Readonly<Record<string, unknown>> {
  const { source } = block;
  return typeof source === "object" && source !== null ? (source as Record<string, unknown>) : {};
}

function imageUrl(block: ContentBlock, at: string): string {
  const { type, url, data, media_type: mediaType } = sourceOf(block);
  if (type === "url" && typeof url === "string") return url;
  if (type === "base64" && typeof data === "string") return `data:${String(mediaType)};base64,${data}`;
  throw new CortexError("unsupported_parameter", `\`${at}.source\`: an image is given by base64 or url`, {
    param: `${at}.source`,
  });
}

function documentText(block: ContentBlock, at: string): string {
  const { type, data } = sourceOf(block);
  if (type === "text" && typeof data === "string") return data;
  throw new CortexError("unsupported_parameter", `\`${at}.source\`: only documents of plain text are read`, {
    param: `${at}.source`,
    next: "send the document's text",
  });
}
