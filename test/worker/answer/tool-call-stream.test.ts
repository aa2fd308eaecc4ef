import { describe, expect, test } from "vitest";
import { createToolCallStream } from "../../../src/worker/answer/tool-call-stream.ts";
import { readCalls } from "../../support/read-calls.ts";

const read = (text: string) => readCalls(createToolCallStream(), [text]);

describe("tool calls in the Hermes form", () => {
  test.each([
    ["plain text", "hello", { text: "hello", calls: [] }],
    ["white space alone", " \n", { text: " \n", calls: [] }],
    [
      "one call",
      '<tool_call>\n{"name": "f", "arguments": {"a": [1, "}"]}}\n</tool_call>',
      { text: "", calls: [{ name: "f", arguments: '{"a": [1, "}"]}' }] },
    ],
    [
      "text around two calls",
      'Let me see.\n<tool_call>{"name":"f","arguments":{}}</tool_call>\n<tool_call>{"name":"g","arguments":{"x":1}}</tool_call>',
      {
        text: "Let me see.",
        calls: [
          { name: "f", arguments: "{}" },
          { name: "g", arguments: '{"x":1}' },
        ],
      },
    ],
    [
      "arguments before the name",
      '<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>',
      { text: "", calls: [{ name: "f", arguments: '{"a":1}' }] },
    ],
    [
      "arguments as a JSON string",
      '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>',
      { text: "", calls: [{ name: "f", arguments: '{"a": 1}' }] },
    ],
    [
      "no arguments",
      '<tool_call>{"name": "f"}</tool_call>',
      { text: "", calls: [{ name: "f", arguments: "{}" }] },
    ],
    [
      "the closing mark left out",
      '<tool_call>{"name": "f", "arguments": {"a": 1}}',
      { text: "", calls: [{ name: "f", arguments: '{"a": 1}' }] },
    ],
    [
      "a mark in an argument",
      '<tool_call>{"name": "f", "arguments": {"a": "</tool_call>"}}</tool_call>',
      { text: "", calls: [{ name: "f", arguments: '{"a": "</tool_call>"}' }] },
    ],
    ["no JSON", "a <tool_call>oops</tool_call> b", { text: "a <tool_call>oops</tool_call> b", calls: [] }],
    [
      "no name",
      '<tool_call>{"arguments": {}}</tool_call>',
      { text: '<tool_call>{"arguments": {}}</tool_call>', calls: [] },
    ],
    [
      "a head that breaks off",
      'a\n<tool_call>{"name": "f"',
      { text: 'a\n<tool_call>{"name": "f"', calls: [] },
    ],
    [
      "arguments that break off",
      '<tool_call>{"name": "f", "arguments": {"a": ',
      { text: "", calls: [{ name: "f", arguments: '{"a": ' }], unfinished: 1 },
    ],
    [
      "arguments that are no JSON: shown from where they broke",
      '<tool_call>{"name": "f", "arguments": {a: 1}}</tool_call>',
      { text: "a: 1}}</tool_call>", calls: [{ name: "f", arguments: "{" }] },
    ],
    ["a mark that is not one", "a <tool_cart> b", { text: "a <tool_cart> b", calls: [] }],
  ])("%s", (_name, text, expected) => {
    expect(read(text)).toEqual({ unfinished: 0, ...expected });
  });
});
