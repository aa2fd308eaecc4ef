import { CortexError } from "../../../core/errors.ts";
import { parseJson } from "../../../core/json.ts";
import { given } from "../contract/read-request.ts";
import type { MemberTool, ResponsesRequest, Tool, ToolChoice } from "./responses-shape.ts";

/** A tool as a model is offered it, and as its client knows it. */
interface OfferedTool {
  readonly kind: "function" | "custom";
  /** What the model calls it: the name, behind that of its namespace. */
  readonly offeredName: string;
  readonly name: string;
  readonly namespace?: string;
  readonly description?: string | null | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly strict: boolean;
}

/** Which tool of the client's a model has called. */
export type CalledTool = Pick<OfferedTool, "kind" | "name" | "namespace">;

const FREE_TEXT = { type: "object", properties: { input: { type: "string" } }, required: ["input"] };

/**
 * The tools of a request. A namespace is dissolved into its functions, whose calls find back to it. A custom tool,
 * which takes text instead of JSON, is offered as a function of one text. Tools that OpenAI hosts or defines itself
 * (`web_search`, `code_interpreter`, `local_shell`) have no schema: no model here can use them, so none is offered them.
 */
export class ToolSet {
  readonly #tools: readonly OfferedTool[];

  constructor(tools: ResponsesRequest["tools"]) {
    const taken = new Set<string>();
    this.#tools = (tools ?? []).flatMap((tool) => membersOf(tool, taken));
  }

  called(offeredName: string): CalledTool {
    const tool = this.#tools.find((one) => one.offeredName === offeredName);
    return tool ?? { kind: "function", name: offeredName };
  }

  /** A call that comes back with the conversation goes to the model under the name by which it made it. */
  offeredName(name: string, namespace?: string | null): string {
    const tool = this.#tools.find((one) => one.name === name && one.namespace === (namespace ?? undefined));
    return tool?.offeredName ?? joined(name, namespace);
  }

  /** `tools` and `tool_choice` of a chat request. */
  chatFields(choice: ToolChoice | null | undefined): Readonly<Record<string, unknown>> {
    const { tools, toolChoice } = this.#chosen(choice);
    const isDemand = toolChoice !== undefined && toolChoice !== "auto" && toolChoice !== "none";
    // A demand that nothing can meet is left for the model's own refusal.
    if (tools.length === 0 && !isDemand) return {};
    return { tools: tools.map(toChatTool), ...given("tool_choice", toolChoice) };
  }

  #chosen(choice: ToolChoice | null | undefined): {
    readonly tools: readonly OfferedTool[];
    readonly toolChoice?: unknown;
  } {
    if (choice == null) return { tools: this.#tools };
    if (typeof choice === "string") return { tools: this.#tools, toolChoice: choice };
    if (choice.type === "function" || choice.type === "custom") {
      const name = this.#namedIn(choice.name) ?? choice.name;
      return { tools: this.#tools, toolChoice: { type: "function", function: { name } } };
    }
    if (choice.type !== "allowed_tools") {
      throw new CortexError("unsupported_parameter", `\`tool_choice\`: there is no ${choice.type} here`, {
        param: "tool_choice",
        next: "demand a function, or leave the choice to the model",
      });
    }
    const allowed = new Set((choice.tools ?? []).map(({ name }) => this.#namedIn(name)));
    const tools = this.#tools.filter(({ offeredName }) => allowed.has(offeredName));
    return { tools, toolChoice: choice.mode ?? "auto" };
  }

  /** A choice names a tool without its namespace. */
  #namedIn(name: string | undefined): string | undefined {
    const [first, ...others] = this.#tools.filter((one) => one.name === name);
    return [first, ...others].find((one) => one?.namespace === undefined)?.offeredName ?? first?.offeredName;
  }
}

/** Arguments that a model wrote for a custom tool, as the text that its client expects. */
export function customInput(argumentsText: string): string {
  const read = parseJson(argumentsText);
  const input = typeof read === "object" && read !== null && "input" in read ? read.input : undefined;
  return typeof input === "string" ? input : argumentsText;
}

/** The other way round, for a call that comes back with the conversation. */
export const customArguments = (input: string): string => JSON.stringify({ input });

function membersOf(tool: Tool, taken: Set<string>): OfferedTool[] {
  if (tool.type === "namespace") {
    return (tool.tools ?? []).flatMap((member) => offer(member, { taken, namespace: tool.name }));
  }
  return offer(tool, { taken });
}

interface Where {
  readonly taken: Set<string>;
  readonly namespace?: string | undefined;
}

function offer(tool: MemberTool, { taken, namespace }: Where): OfferedTool[] {
  const { type, name, description } = tool;
  if ((type !== "function" && type !== "custom") || name === undefined) return [];
  const offeredName = untaken(joined(name, namespace), taken);
  const known = { name, offeredName, ...(namespace === undefined ? {} : { namespace }) };
  if (type === "custom") {
    return [
      {
        kind: "custom",
        ...known,
        description: customDescription(tool),
        parameters: FREE_TEXT,
        strict: false,
      },
    ];
  }
  const parameters = tool.parameters ?? { type: "object", properties: {} };
  return [{ kind: "function", ...known, description, parameters, strict: tool.strict === true }];
}

const joined = (name: string, namespace: string | null | undefined): string =>
  namespace == null || namespace === "" ? name : `${namespace}__${name}`;

function untaken(name: string, taken: Set<string>): string {
  let free = name;
  for (let count = 2; taken.has(free); count += 1) free = `${name}_${count}`;
  taken.add(free);
  return free;
}

/** A grammar for the text is told to the model; nothing holds the model to it. */
function customDescription({ description, format }: MemberTool): string | undefined {
  const definition = format?.["definition"];
  const told = typeof definition === "string" ? `The input follows this grammar:\n${definition}` : "";
  return [description ?? "", told].filter((text) => text !== "").join("\n\n") || undefined;
}

const toChatTool = ({ offeredName: name, description, parameters, strict }: OfferedTool) => ({
  type: "function",
  function: { name, ...given("description", description), parameters, ...(strict ? { strict } : {}) },
});
