import { CortexError } from "../../../core/errors.ts";
import { plainWherePossible, type ChatMessage, type ContentPart } from "../contract/chat-message.ts";
import { customArguments, type ToolSet } from "./offered-tools.ts";
import { thoughtIn } from "./reasoning-item.ts";
import type { Content, Item, Part, ResponsesRequest } from "./responses-shape.ts";

export interface SaidItems {
  /** Of the turns that the request goes on from. */
  readonly earlier: readonly Item[];
  /** Of the request itself. */
  readonly own: readonly Item[];
}

/**
 * The conversation in the order in which it was sent. What a model said in one turn is several items here and one
 * message there: reasoning, text and calls are collected until somebody else has the word.
 */
export function toChatMessages(
  { instructions, earlier, own }: Pick<ResponsesRequest, "instructions"> & SaidItems,
  tools: ToolSet,
): ChatMessage[] {
  const conversation = new Conversation(tools);
  if (instructions != null && instructions !== "") conversation.say("system", instructions);
  for (const [index, item] of earlier.entries()) conversation.add(item, `previous_response_id.${index}`);
  for (const [index, item] of own.entries()) conversation.add(item, `input.${index}`);
  return conversation.finish();
}

interface Turn {
  text: string | null;
  thinking: string;
  readonly calls: unknown[];
}

/** Made by tools that OpenAI hosts, or about tools that no model here is offered: there is nothing to make of them. */
const HOSTED =
  /^(?:web_search|file_search|computer|code_interpreter|image_generation|local_shell|shell|apply_patch|tool_search)_(?:call|call_output|output)$|^mcp_|^additional_tools$|^program(?:_output)?$/;

class Conversation {
  readonly #tools: ToolSet;
  readonly #messages: ChatMessage[] = [];
  #turn: Turn | null = null;

  constructor(tools: ToolSet) {
    this.#tools = tools;
  }

  say(role: "system" | "developer" | "user", content: ChatMessage["content"]): void {
    this.#endTurn();
    this.#messages.push({ role, content });
  }

  add(item: Item, at: string): void {
    const type = item.type ?? (item.role === undefined ? "" : "message");
    switch (type) {
      case "message":
        this.#message(item, at);
        return;
      case "reasoning":
        this.#freshTurn().thinking += thoughtIn(item);
        return;
      case "function_call":
        this.#call(item, needed(item.arguments, `${at}.arguments`), at);
        return;
      case "custom_tool_call":
        this.#call(item, customArguments(needed(item.input, `${at}.input`)), at);
        return;
      case "function_call_output":
      case "custom_tool_call_output":
        this.#output(item, at);
        return;
      default:
        if (!HOSTED.test(type)) throw unreadableItem(type, at);
    }
  }

  finish(): ChatMessage[] {
    this.#endTurn();
    return this.#messages;
  }

  #message({ role, content }: Item, at: string): void {
    const said = needed(content ?? undefined, `${at}.content`);
    const speaker = needed(role, `${at}.role`);
    if (speaker !== "assistant") this.say(speaker, contentOf(said, `${at}.content`));
    else {
      const turn = this.#freshTurn();
      turn.text = (turn.text ?? "") + saidText(said);
    }
  }

  #call({ call_id: id, name, namespace }: Item, argumentsText: string, at: string): void {
    const called = this.#tools.offeredName(needed(name, `${at}.name`), namespace);
    this.#turnNow().calls.push({
      id: needed(id, `${at}.call_id`),
      type: "function",
      function: { name: called, arguments: argumentsText === "" ? "{}" : argumentsText },
    });
  }

  #output({ call_id: id, output }: Item, at: string): void {
    this.#endTurn();
    const content = contentOf(needed(output, `${at}.output`), `${at}.output`);
    this.#messages.push({ role: "tool", tool_call_id: needed(id, `${at}.call_id`), content });
  }

  #turnNow(): Turn {
    return (this.#turn ??= { text: null, thinking: "", calls: [] });
  }

  /** Two texts without a call between them were two turns. */
  #freshTurn(): Turn {
    if (this.#turn !== null && this.#turn.text !== null && this.#turn.calls.length === 0) this.#endTurn();
    return this.#turnNow();
  }

  #endTurn(): void {
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null) return;
    const { text, thinking, calls } = turn;
    this.#messages.push({
      role: "assistant",
      // Empty text beside calls is no text at all.
      content: calls.length > 0 && text === "" ? null : (text ?? (calls.length > 0 ? null : "")),
      ...(thinking === "" ? {} : { reasoning_content: thinking }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    });
  }
}

function needed<Value>(value: Value | undefined, param: string): Value {
  if (value !== undefined) return value;
  throw new CortexError("invalid_request_body", `\`${param}\`: is missing`, { param });
}

function unreadableItem(type: string, at: string): CortexError {
  const param = `${at}.type`;
  return new CortexError(
    "unsupported_parameter",
    `\`${param}\`: an item of type "${type}" has no meaning here`,
    {
      param,
    },
  );
}

const contentOf = (content: Content, at: string): ChatMessage["content"] =>
  typeof content === "string"
    ? content
    : plainWherePossible(content.map((part, index) => toPart(part, `${at}.${index}`)));

const TEXT_PARTS: ReadonlySet<string> = new Set(["input_text", "output_text", "text"]);

function toPart(part: Part, at: string): ContentPart {
  if (TEXT_PARTS.has(part.type)) return { type: "text", text: stringIn(part, "text") };
  const url = part["image_url"];
  if (part.type === "input_image" && typeof url === "string") {
    return { type: "image_url", image_url: { url } };
  }
  throw new CortexError(
    "unsupported_parameter",
    part.type === "input_image"
      ? `\`${at}\`: an image is given by \`image_url\`, and no file is stored here`
      : `\`${at}\`: a part of type ${part.type} has no meaning here`,
    { param: at },
  );
}

/** What a model said itself; a refusal was said, too. */
const saidText = (content: Content): string =>
  typeof content === "string"
    ? content
    : content.map((part) => stringIn(part, part.type === "refusal" ? "refusal" : "text")).join("");

const stringIn = (part: Part, field: string): string => {
  const value = part[field];
  return typeof value === "string" ? value : "";
};
