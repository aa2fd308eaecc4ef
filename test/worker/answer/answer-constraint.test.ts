import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { answerConstraint, callableTools } from "../../../src/worker/answer/answer-constraint.ts";
import { parseChatRequest } from "../../../src/protocol/openai/request.ts";

const request = (fields: object) =>
  parseChatRequest({ model: "m", messages: [{ role: "user", content: "hi" }], ...fields });
const tool = (name: string, extra: object = {}) => ({ type: "function", function: { name, ...extra } });
const named = (name: string) => ({ type: "function", function: { name } });
const at = (position: object) => ({
  insideReasoning: false,
  insideToolCall: false,
  toolCallText: "",
  ...position,
});
const failure = (fields: object): unknown => {
  try {
    answerConstraint(request(fields));
  } catch (thrown) {
    return thrown instanceof CortexError ? [thrown.code, thrown.param] : thrown;
  }
  return undefined;
};

describe("callable tools", () => {
  const tools = [tool("f"), tool("g")];
  test.each([
    [undefined, ["f", "g"]],
    ["auto", ["f", "g"]],
    ["required", ["f", "g"]],
    ["none", []],
    [named("g"), ["g"]],
  ])("choice %j", (choice, names) => {
    const called = callableTools(request({ tools, tool_choice: choice }));
    expect(called.map((one) => one.function.name)).toEqual(names);
  });
});

describe("what the next token must follow", () => {
  test("nothing when nothing was asked", () => {
    expect(answerConstraint(request({}))).toBeUndefined();
    expect(answerConstraint(request({ response_format: { type: "text" } }))).toBeUndefined();
    expect(answerConstraint(request({ tools: [tool("f")], tool_choice: "none" }))).toBeUndefined();
  });

  test("a response format binds the answer and not the reasoning before it", () => {
    const constraint = answerConstraint(request({ response_format: { type: "json_object" } }));
    expect(constraint?.grammar(at({ insideReasoning: true }))).toBeUndefined();
    expect(constraint?.grammar(at({}))).toBe(constraint?.texts[0]);
  });

  test("a free call is bound from its opening mark to its end", () => {
    const constraint = answerConstraint(request({ tools: [tool("f")] }));
    const inCall = constraint?.grammar(at({ insideToolCall: true }));
    expect(constraint?.grammar(at({}))).toBeUndefined();
    expect(inCall).toContain(String.raw`{\"name\": \"f\"`);
    const later = constraint?.grammar(at({ insideToolCall: true, toolCallText: '{"na' }));
    expect(later).toBeUndefined();
  });

  test("a call that was bound at its start stays bound under the same grammar", () => {
    const constraint = answerConstraint(request({ tools: [tool("f")] }));
    const first = constraint?.grammar(at({ insideToolCall: true, toolCallText: "\n" }));
    expect(first).toBeDefined();
    expect(constraint?.grammar(at({ insideToolCall: true, toolCallText: '\n{"name' }))).toBe(first);
    expect(constraint?.grammar(at({}))).toBeUndefined();
  });

  test.each([
    [{ tools: [], tool_choice: "required" }, ["invalid_request_body", "tool_choice"]],
    [{ tools: [tool("f")], tool_choice: named("x") }, ["invalid_request_body", "tool_choice"]],
    [
      { tools: [tool("f")], tool_choice: "required", response_format: { type: "json_object" } },
      ["unsupported_parameter", "response_format"],
    ],
    [
      { tools: [tool("f", { strict: true, parameters: { properties: { a: { pattern: "x" } } } })] },
      ["unsupported_parameter", "tools.0.function.strict"],
    ],
    [{ tools: [tool("f", { parameters: { properties: { a: { pattern: "x" } } } })] }, undefined],
    [
      {
        response_format: {
          type: "json_schema",
          json_schema: { name: "n", schema: { type: "string", pattern: "x" } },
        },
      },
      ["unsupported_parameter", "response_format.json_schema.schema.pattern"],
    ],
  ])("%j", (fields, expected) => {
    expect(failure(fields)).toEqual(expected);
  });
});
