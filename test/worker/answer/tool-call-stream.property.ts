import fc from "fast-check";
import { expect, test } from "vitest";
import { createJsonObjectScanner } from "../../../src/worker/answer/json-object-scanner.ts";
import { createToolCallStream } from "../../../src/worker/answer/tool-call-stream.ts";
import { cutText } from "../../support/cuts.ts";
import { readCalls } from "../../support/read-calls.ts";

const callPiece = fc.constantFrom(
  "<tool_call>",
  "</tool_call>",
  '{"name": "f", "arguments": ',
  '{"a": "x\\"y"}',
  "{}",
  "}",
  " ",
  "\n",
  "text",
  "<",
  '"',
  '{"name"',
  ":",
  "1.5e3",
  "[true, null]",
);
const messyText = fc.array(callPiece, { maxLength: 12 }).map((pieces) => pieces.join(""));
const jsonObject = fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });

test("the cuts never change text, names or arguments", () => {
  fc.assert(
    fc.property(cutText(messyText), (pieces) => {
      const whole = readCalls(createToolCallStream(), [pieces.join("")]);
      expect(readCalls(createToolCallStream(), pieces)).toEqual(whole);
    }),
    { numRuns: 2000 },
  );
});

test("every well-formed call is read, however it is cut and spaced", () => {
  const space = fc.constantFrom("", " ", "\n", "\n  ");
  const call = fc
    .tuple(fc.string({ minLength: 1, maxLength: 8 }), jsonObject, space)
    .map(([name, given, gap]) => ({
      name,
      given,
      text: `<tool_call>${gap}{${gap}"name":${gap}${JSON.stringify(name)},${gap}"arguments":${gap}${JSON.stringify(given)}${gap}}${gap}</tool_call>`,
    }));
  const calls = fc.array(call, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(calls, fc.array(fc.nat(), { maxLength: 10 }), (wanted, places) => {
      const whole = wanted.map((one) => one.text).join("\n");
      const cuts = places.map((place) => place % (whole.length + 1)).sort((a, b) => a - b);
      const pieces = [0, ...cuts].map((start, index) => whole.slice(start, cuts[index] ?? whole.length));
      const read = readCalls(createToolCallStream(), pieces);
      expect(read.text).toBe("");
      expect(read.unfinished).toBe(0);
      expect(read.calls.map((one) => one.name)).toEqual(wanted.map((one) => one.name));
      expect(read.calls.map((one) => JSON.parse(one.arguments) as unknown)).toEqual(
        wanted.map((one) => JSON.parse(JSON.stringify(one.given)) as unknown),
      );
    }),
  );
});

test("text without marks comes through unchanged", () => {
  fc.assert(
    fc.property(cutText(fc.string().filter((text) => !text.includes("<tool_call>"))), (pieces) => {
      expect(readCalls(createToolCallStream(), pieces)).toEqual({
        text: pieces.join(""),
        calls: [],
        unfinished: 0,
      });
    }),
  );
});

const scan = (text: string): string => {
  const scanner = createJsonObjectScanner();
  for (const [index, character] of text.split("").entries()) {
    const state = scanner.push(character);
    if (state === "invalid") return "invalid";
    if (state === "done") return index === text.length - 1 ? "done" : "early";
  }
  return "more";
};

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test("the scanner accepts exactly what JSON.parse accepts, at its last character", () => {
  fc.assert(
    fc.property(jsonObject, fc.constantFrom(undefined, 1, 2), (value, indent) => {
      expect(scan(JSON.stringify(value, undefined, indent))).toBe("done");
    }),
  );
  const broken = fc
    .tuple(jsonObject, fc.nat(), fc.constantFrom("", "{", "}", '"', ",", ":", "1", "\\", "-", "x"))
    .map(([value, place, insert]) => {
      const text = JSON.stringify(value);
      const at = 1 + (place % text.length);
      return text.slice(0, at) + insert + text.slice(insert === "" ? at + 1 : at);
    });
  fc.assert(
    fc.property(broken, (text) => {
      expect(scan(text) === "done").toBe(parses(text));
    }),
    { numRuns: 2000 },
  );
});
