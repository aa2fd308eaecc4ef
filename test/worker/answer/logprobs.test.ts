import { describe, expect, test } from "vitest";
import type { AnswerEvent } from "../../../src/worker/answer/answer-parser.ts";
import { createAnswerParser } from "../../../src/worker/answer/answer-parser.ts";
import { chatLogprobs, createLogprobAligner } from "../../../src/worker/answer/logprobs.ts";
import { vocabularyBytes } from "../../../src/worker/engine/vocabulary-bytes.ts";

interface Case {
  readonly name: string;
  readonly stops?: readonly string[];
  readonly reasoning?: boolean;
  readonly written: readonly string[];
  /** Text events and the tokens that go with them. */
  readonly shown: readonly (readonly [string, readonly string[]])[];
}

const CASES: readonly Case[] = [
  {
    name: "plain text",
    written: ["ab", "c"],
    shown: [
      ["ab", ["ab"]],
      ["c", ["c"]],
    ],
  },
  {
    name: "a token without text goes with the character that it is part of",
    written: ["a", "", "é", "b"],
    shown: [
      ["a", ["a"]],
      ["é", ["", "é"]],
      ["b", ["b"]],
    ],
  },
  {
    name: "text that is held back keeps its tokens",
    stops: ["xyz"],
    written: ["ax", "y", "b"],
    shown: [
      ["a", ["ax"]],
      ["xyb", ["y", "b"]],
    ],
  },
  {
    name: "tokens of a stop string are not shown",
    stops: ["xyz"],
    written: ["a", "x", "yz"],
    shown: [["a", ["a"]]],
  },
  {
    name: "reasoning and its marks take their tokens along, and white space after them",
    reasoning: true,
    written: ["<think>", "hm", "</think>", "\n\n", "yes", "!"],
    shown: [
      ["yes", ["yes"]],
      ["!", ["!"]],
    ],
  },
  {
    name: "a call takes its tokens along",
    written: ["hi", "<tool_call>", '{"name": "f", "arguments": {"a": 1}}', "</tool_call>", " then"],
    shown: [
      ["hi", ["hi"]],
      [" then", [" then"]],
    ],
  },
];

const token = (text: string) => ({ text, bytes: [], logprob: -1, top: [] });

describe("the tokens of an answer", () => {
  test.each(CASES)("$name", ({ stops, reasoning, written, shown }) => {
    const parser = createAnswerParser({
      stops: stops ?? [],
      reasoning: reasoning === true ? { startsInside: false } : undefined,
      tools: { several: true },
    });
    const aligner = createLogprobAligner();
    const attach = (events: readonly AnswerEvent[]) =>
      aligner.attach(events, parser.position.insideReasoning || parser.position.insideToolCall);
    const events = written.flatMap((text) => {
      aligner.write(text, token(text));
      return text === "" ? [] : attach(parser.push(text).events);
    });
    const all = [...events, ...attach(parser.end())];
    const told = all.flatMap((event) =>
      event.kind === "text-written" ? [[event.text, (event.logprobs ?? []).map((one) => one.text)]] : [],
    );
    expect(told).toEqual(shown);
  });

  test("what cannot be has a number all the same", () => {
    expect(chatLogprobs([{ ...token("a"), logprob: Number.NEGATIVE_INFINITY }])[0]?.logprob).toBe(-9999);
  });

  test.each([
    ["<0xE4>", [0xe4]],
    ["a", [0x61]],
    ["Ġb", [0x20, 0x62]],
    ["ä¸", [0xe4, 0xb8]],
    ["▁b", null],
  ])("the bytes behind %s", (name, bytes) => {
    expect(vocabularyBytes(name)).toEqual(bytes);
  });
});
