import { Template } from "@huggingface/jinja";
import { CortexError } from "../../core/errors.ts";
import type { ChatMessage, ContentPart, Tool } from "../../protocol/openai/chat.ts";
import type { ControlTexts } from "./control-texts.ts";
import { unhideMappingMethods } from "./mapping-methods.ts";
import { templateControls } from "./prompt-pieces.ts";
import { EVERYWHERE, findSystemPlaces, placeSystem, type PlacedMessage } from "./system-places.ts";
import { createRequestMarks, type MarkReach, type RestoredText } from "./request-marks.ts";

export interface ChatTemplateFacts {
  /** Jinja source from the model file; null when the file has none. */
  readonly source: string | null;
  readonly bosText: string;
  readonly eosText: string;
  readonly controls: ControlTexts;
}

interface ChatPromptInput {
  readonly messages: readonly ChatMessage[];
  /** Empty when no tool may be called. */
  readonly tools: readonly Tool[];
  /** Further template variables; they never replace the messages or tools. */
  readonly variables: Readonly<Record<string, unknown>>;
}

export interface RenderedPrompt extends RestoredText {
  /** The template opened a `<think>` block that the model goes on in. */
  readonly startsInReasoning: boolean;
}

export interface ChatPromptRenderer {
  /** True when tools given to the template show in the prompt. */
  readonly rendersTools: boolean;
  /** True when the model marks its reasoning with `<think>`. */
  readonly marksReasoning: boolean;
  /** Whether the template's source names a variable. */
  mentions(variable: string): boolean;
  /** Errors: `template_render_failed`, `vision_unsupported`, `unsupported_parameter`, `invalid_request_body`. */
  render(input: ChatPromptInput): RenderedPrompt;
}

const PROBE_TOOL_NAME = "probe_tool_name";
const IMAGE_PARTS = new Set(["image_url", "image", "input_image"]);

/**
 * Prompts come from the model's own template and the caller's messages alone: no default system prompt, no
 * reordering. Two things are translated: `developer`, OpenAI's newer name for `system`, for templates that do not
 * know it, and messages of the system where the template takes none (`system-places.ts`).
 */
export function createChatPromptRenderer(facts: ChatTemplateFacts): ChatPromptRenderer {
  const source = facts.source ?? "";
  const template = facts.source === null ? undefined : parseTemplate(facts.source);
  const knowsDeveloper = source.includes("developer");

  const renderText = (input: TemplateInput): string => renderTemplate(template, facts, input);

  /**
   * Renders with the request's texts as they are, and, where they could hold a control text, once more with marks
   * that tell them from the template's. When the template writes something else because of the marks, those
   * that it could have looked for are left out; when the template's own control texts then differ, the wider
   * marks stand: an odd prompt is better than a turn that the model takes for another's.
   */
  const renderMarked = (input: TemplateInput): RestoredText => {
    const plain = renderText(input);
    const taken = (character: string): boolean => plain.includes(character) || source.includes(character);
    const marks = createRequestMarks(facts.controls, taken);
    const marked = (reach: MarkReach): TemplateInput => marks.mark(input, reach) as TemplateInput;
    const widelyMarked = marked("anything");
    if (widelyMarked === input) return { text: plain, marked: [] };
    const wide = marks.restore(renderText(widelyMarked));
    if (wide.text === plain) return wide;
    const narrow = marks.restore(renderText(marked("whole")));
    return sameControls(narrow, wide, facts.controls) ? narrow : wide;
  };

  const places =
    template === undefined
      ? EVERYWHERE
      : findSystemPlaces((messages) => renderText({ messages, tools: [], variables: {} }));
  const inputOf = (input: ChatPromptInput): TemplateInput => {
    const read = templateInput(input, knowsDeveloper);
    return { ...read, messages: placeSystem(read.messages, places) };
  };
  const rendersTools = template !== undefined && showsProbeTool((input) => renderText(inputOf(input)));
  return {
    rendersTools,
    marksReasoning: source.includes("<think>"),
    mentions: (variable) => source.includes(variable),
    render(input) {
      const prompt = renderMarked(inputOf(input));
      if (input.tools.length > 0 && !rendersTools) {
        throw new CortexError("template_render_failed", "this model's chat template ignores tools", {
          param: "tools",
          next: "choose a model with the tools capability, or leave `tools` out",
        });
      }
      const opened = /<think>\s*$/.exec(prompt.text);
      return { ...prompt, startsInReasoning: opened !== null && !prompt.marked.includes(opened.index) };
    },
  };
}

function renderTemplate(
  template: Template | undefined,
  { bosText, eosText }: ChatTemplateFacts,
  { messages, tools, variables }: TemplateInput,
): string {
  if (template === undefined) {
    throw new CortexError("template_render_failed", "this model has no chat template it can render", {
      next: "use /v1/completions with a prompt of your own, or a model file with a chat template",
    });
  }
  try {
    return template.render({
      ...variables,
      messages,
      tools: tools.length === 0 ? null : tools,
      documents: null,
      add_generation_prompt: true,
      bos_token: bosText,
      eos_token: eosText,
    });
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new CortexError("template_render_failed", `the model's chat template failed: ${reason}`, {
      cause: thrown,
      param: "messages",
    });
  }
}

/** What the template reads of a request. */
interface TemplateInput {
  readonly messages: readonly PlacedMessage[];
  readonly tools: readonly object[];
  readonly variables: Readonly<Record<string, unknown>>;
}

const templateInput = (input: ChatPromptInput, knowsDeveloper: boolean): TemplateInput => ({
  messages: input.messages.map((message, index) => toTemplateMessage(message, index, knowsDeveloper)),
  tools: input.tools,
  variables: input.variables,
});

function sameControls(left: RestoredText, right: RestoredText, controls: ControlTexts): boolean {
  const texts = (prompt: RestoredText): string =>
    JSON.stringify(templateControls(prompt, controls).map((placed) => placed.control.text));
  return texts(left) === texts(right);
}

function parseTemplate(source: string): Template | undefined {
  try {
    const template = new Template(source);
    unhideMappingMethods(template.parsed);
    return template;
  } catch {
    return undefined;
  }
}

function showsProbeTool(renderText: (input: ChatPromptInput) => string): boolean {
  const probe: Tool = {
    type: "function",
    function: { name: PROBE_TOOL_NAME, description: "", parameters: { type: "object", properties: {} } },
  };
  try {
    const messages: ChatMessage[] = [{ role: "user", content: "probe" }];
    return renderText({ messages, tools: [probe], variables: {} }).includes(PROBE_TOOL_NAME);
  } catch {
    return false;
  }
}

function toTemplateMessage(message: ChatMessage, index: number, knowsDeveloper: boolean) {
  const role = message.role === "developer" && !knowsDeveloper ? "system" : message.role;
  const calls = message.tool_calls ?? [];
  return {
    ...message,
    role,
    content: contentText(message.content, index),
    ...(calls.length === 0 ? { tool_calls: undefined } : { tool_calls: toTemplateCalls(calls, index) }),
  };
}

function contentText(content: ChatMessage["content"], messageIndex: number): string {
  if (typeof content === "string") return content;
  return (content ?? [])
    .map((part, partIndex) => partText(part, `messages.${messageIndex}.content.${partIndex}`))
    .join("");
}

function partText(part: ContentPart, path: string): string {
  if (part.type === "text" && part.text !== undefined) return part.text;
  if (IMAGE_PARTS.has(part.type)) {
    throw new CortexError("vision_unsupported", `\`${path}\` is an image and this model reads text only`, {
      param: path,
    });
  }
  throw new CortexError(
    "unsupported_parameter",
    `\`${path}\` is a ${part.type} part; this model reads text only`,
    {
      param: path,
      next: "send text parts only",
    },
  );
}

/** Templates iterate over arguments as an object; on the wire they are a JSON string. */
function toTemplateCalls(calls: NonNullable<ChatMessage["tool_calls"]>, messageIndex: number) {
  return calls.map((call, callIndex) => {
    try {
      const parsed: unknown = JSON.parse(call.function.arguments === "" ? "{}" : call.function.arguments);
      return { ...call, function: { ...call.function, arguments: parsed } };
    } catch (thrown) {
      const path = `messages.${messageIndex}.tool_calls.${callIndex}.function.arguments`;
      throw new CortexError("invalid_request_body", `\`${path}\` is not JSON`, {
        param: path,
        cause: thrown,
      });
    }
  });
}
