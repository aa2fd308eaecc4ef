import { plainWherePossible, type ChatMessage, type ContentPart } from "../contract/chat-message.ts";
import type { OllamaMessage } from "./ollama-shape.ts";

interface OpenCall {
  readonly id: string;
  readonly name: string;
}

/** The conversation in its order. Calls and results that carry no ids are matched by name, then by order. */
export function toChatMessages(messages: readonly OllamaMessage[]): ChatMessage[] {
  const open: OpenCall[] = [];
  let calls = 0;
  const nextId = (): string => {
    calls += 1;
    return `call_${calls}`;
  };
  return messages.map((message) => {
    if (message.role === "assistant") return assistantMessage(message, { open, nextId });
    if (message.role === "tool") return toolMessage(message, open);
    return { role: message.role, content: userContent(message.content ?? "", message.images ?? []) };
  });
}

export function userContent(text: string, images: readonly string[]): string | readonly ContentPart[] {
  const shown = images.map((image): ContentPart => ({
    type: "image_url",
    image_url: { url: dataUrl(image) },
  }));
  return plainWherePossible([...(text === "" && shown.length > 0 ? [] : [textPart(text)]), ...shown]);
}

const textPart = (text: string): ContentPart => ({ type: "text", text });

/** Images come as bare base64: what they are is told by how they begin. */
const BEGINNINGS: readonly (readonly [beginning: string, type: string])[] = [
  ["/9j/", "image/jpeg"],
  ["R0lG", "image/gif"],
  ["UklG", "image/webp"],
];

function dataUrl(image: string): string {
  if (image.startsWith("data:")) return image;
  const type = BEGINNINGS.find(([beginning]) => image.startsWith(beginning))?.[1] ?? "image/png";
  return `data:${type};base64,${image}`;
}

function assistantMessage(
  { content, thinking, tool_calls: calls }: OllamaMessage,
  { open, nextId }: { readonly open: OpenCall[]; readonly nextId: () => string },
): ChatMessage {
  const made = (calls ?? []).map(({ id, function: { name, arguments: given } }) => {
    const call = { id: id == null || id === "" ? nextId() : id, name };
    open.push(call);
    const json = typeof given === "string" ? given : JSON.stringify(given ?? {});
    return { id: call.id, type: "function", function: { name, arguments: json } };
  });
  const text = content ?? "";
  return {
    role: "assistant",
    content: text === "" && made.length > 0 ? null : text,
    ...(thinking == null || thinking === "" ? {} : { reasoning_content: thinking }),
    ...(made.length === 0 ? {} : { tool_calls: made }),
  };
}

function toolMessage(message: OllamaMessage, open: OpenCall[]): ChatMessage {
  const { tool_call_id: id, tool_name: name } = message;
  const named = open.findIndex((call) => (id == null ? call.name === name : call.id === id));
  const [answered] = open.splice(Math.max(0, named), named === -1 && id != null ? 0 : 1);
  return { role: "tool", tool_call_id: id ?? answered?.id ?? "call_0", content: message.content ?? "" };
}
