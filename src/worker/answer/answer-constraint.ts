import { CortexError } from "../../core/errors.ts";
import type { ChatRequest, Tool } from "../../protocol/openai/chat.ts";
import {
  grammarLiteral,
  jsonObjectGrammar,
  jsonSchemaGrammar,
  SchemaGrammar,
} from "./json-schema-grammar.ts";
import { TOOL_CALL_CLOSE, TOOL_CALL_OPEN } from "./tool-call-stream.ts";

/**
 * What grammar, if any, the next token is sampled under. It can change in the middle of an answer: reasoning is
 * free and the answer after it is not; text is free and a tool call inside it is not.
 */
export interface AnswerConstraint {
  /** Every grammar that `grammar` can return. */
  readonly texts: readonly string[];
  /** GBNF for the token that comes next; the same string as long as the same grammar goes on. */
  grammar(position: AnswerPosition): string | undefined;
}

export interface AnswerPosition {
  readonly insideReasoning: boolean;
  readonly insideToolCall: boolean;
  /** What was read since the opening mark of the tool call. */
  readonly toolCallText: string;
}

/** The tools that may be called: none under `tool_choice: "none"`, one when it is named. */
export function callableTools(request: ChatRequest): readonly Tool[] {
  const tools = request.tools ?? [];
  const choice = request.tool_choice ?? "auto";
  if (choice === "none") return [];
  if (typeof choice === "string") {
    if (choice === "required" && tools.length === 0) {
      throw new CortexError("invalid_request_body", "`tool_choice` demands a call and `tools` is empty", {
        param: "tool_choice",
      });
    }
    return tools;
  }
  const named = tools.filter((tool) => tool.function.name === choice.function.name);
  if (named.length === 0) {
    throw new CortexError("invalid_request_body", "`tool_choice` names a function that `tools` lacks", {
      param: "tool_choice",
    });
  }
  return named;
}

/**
 * Throws `unsupported_parameter` for a schema that no grammar can enforce: always for `response_format` and for
 * tools marked `strict`; other tools whose schema is too rich are called freely.
 */
export function answerConstraint(request: ChatRequest): AnswerConstraint | undefined {
  const tools = callableTools(request);
  const format = request.response_format;
  const forced = tools.length > 0 && (request.tool_choice ?? "auto") !== "auto";
  if (format !== undefined && format.type !== "text") {
    if (forced) {
      throw new CortexError(
        "unsupported_parameter",
        "`response_format` and a demanded tool call exclude each other",
        {
          param: "response_format",
        },
      );
    }
    const grammar =
      format.type === "json_object"
        ? jsonObjectGrammar()
        : jsonSchemaGrammar(format.json_schema.schema, "response_format.json_schema.schema");
    return wholeAnswer(grammar);
  }
  if (tools.length === 0) return undefined;
  return forced ? forcedCall(tools, request.parallel_tool_calls) : freeCalls(tools);
}

function forcedCall(tools: readonly Tool[], several: boolean): AnswerConstraint {
  const { grammar, call } = callRules(tools);
  const one = `${grammarLiteral(TOOL_CALL_OPEN)} ws ${call} ws ${grammarLiteral(TOOL_CALL_CLOSE)}`;
  return wholeAnswer(grammar.text(several ? `${one} (ws ${one})*` : one));
}

/** All but the reasoning before it. */
const wholeAnswer = (text: string): AnswerConstraint => ({
  texts: [text],
  grammar: (at) => (at.insideReasoning ? undefined : text),
});

/**
 * The grammar starts when the model opens a call, possibly in the middle of a token that already holds the first
 * characters of the body. Those are matched against the one form in which Hermes models write a call; a body that
 * began otherwise goes on unconstrained and is parsed as it comes.
 */
function freeCalls(tools: readonly Tool[]): AnswerConstraint {
  const { grammar, call } = callRules(tools);
  const close = `ws ${grammarLiteral(TOOL_CALL_CLOSE)}`;
  const fromStart = grammar.text(`ws ${call} ${close}`);
  const afterSpace = grammar.text(`${call} ${close}`);
  let current: string | undefined;
  let inCall = false;
  const textAfter = (begun: string): string | undefined => {
    if (begun === "") return fromStart;
    return begun === "\n" || begun === " " ? afterSpace : undefined;
  };
  return {
    texts: [fromStart, afterSpace],
    grammar(at) {
      if (at.insideToolCall && !inCall) current = textAfter(at.toolCallText);
      if (!at.insideToolCall) current = undefined;
      inCall = at.insideToolCall;
      return current;
    },
  };
}

function callRules(tools: readonly Tool[]): { readonly grammar: SchemaGrammar; readonly call: string } {
  const grammar = new SchemaGrammar("tools");
  const calls = tools.map((tool, index) => {
    const name = grammarLiteral(`{"name": ${JSON.stringify(tool.function.name)}, "arguments": `);
    return `${name} ${argumentsExpression(grammar, tool, index)} "}"`;
  });
  return { grammar, call: `(${calls.join(" | ")})` };
}

function argumentsExpression(grammar: SchemaGrammar, tool: Tool, index: number): string {
  const schema = tool.function.parameters;
  if (schema === null || schema === undefined) return "object";
  try {
    // Arguments are an object even where the schema leaves the type open.
    return grammar.expression({ type: "object", ...schema });
  } catch (thrown) {
    if (!(thrown instanceof CortexError) || tool.function.strict !== true) return "object";
    throw new CortexError("unsupported_parameter", `\`tools.${index}.function.strict\`: ${thrown.message}`, {
      param: `tools.${index}.function.strict`,
      cause: thrown,
    });
  }
}
