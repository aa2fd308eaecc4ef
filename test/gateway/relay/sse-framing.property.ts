import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  comment,
  endOfLastEvent,
  EventFramer,
  MAX_HELD_BYTES,
} from "../../../src/gateway/relay/sse-framing.ts";

test.each([
  ["", 0],
  ["data: 1", 0],
  ["data: 1\n", 0],
  ["data: 1\n\n", 9],
  ["data: 1\n\ndata: 2", 9],
  ["data: 1\r\n\r\n", 11],
  ["data: 1\r\n\r\ndata", 11],
  ["a\n\nb\r\n\r\nc", 8],
  ["data: 1\r\r", 9],
  ["data: 1\r\rdata: 2\r", 9],
  ["data: 1\r\n\r", 0],
])("the last event of %j ends at %i", (text, expected) => {
  expect(endOfLastEvent(Buffer.from(text))).toBe(expected);
});

const event = fc
  .tuple(fc.string({ unit: "grapheme" }), fc.constantFrom("\n\n", "\r\n\r\n", "\r\r"))
  .map(([text, end]) => `data: ${JSON.stringify(text)}${end}`);

/** Cuts bytes at any places. */
const chunked = (text: string, places: readonly number[]): Buffer[] => {
  const bytes = Buffer.from(text);
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort(
    (left, right) => left - right,
  );
  return [...cuts, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : cuts[index - 1], end));
};

test("law: whatever the chunks, all bytes come out in order, and always whole events", () => {
  fc.assert(
    fc.property(
      fc.array(event),
      fc.constantFrom("", "data: [DONE]", "data: half"),
      fc.array(fc.nat()),
      (events, rest, places) => {
        const text = events.join("") + rest;
        const framer = new EventFramer();
        const out: Buffer[] = [];
        for (const chunk of chunked(text, places)) {
          const piece = framer.push(chunk);
          if (piece === null) continue;
          expect(piece.toString()).toMatch(/[\r\n]$/);
          expect(framer.insideEvent).toBe(false);
          out.push(piece);
        }
        out.push(framer.rest() ?? Buffer.alloc(0));
        expect(Buffer.concat(out).toString()).toBe(text);
        const last = framer.rest();
        expect(last !== null && framer.lastEventIn(last)?.kind === "done").toBe(rest === "data: [DONE]");
      },
    ),
    { numRuns: 500 },
  );
});

describe("the last event of a piece", () => {
  test.each([
    { text: "data: 1\n\ndata: [DONE]\n\n", found: ["done", 9, 23] },
    { text: "data:[DONE]\n\n", found: ["done", 0, 13] },
    { text: "data: 1\r\n\r\ndata: [DONE]\r\n\r\n", found: ["done", 11, 27] },
    { text: "data: [DONE] \r\rdata: 2\r\r", found: ["done", 0, 15] },
    { text: "data: 1\n\ndata: [DONE]", found: ["done", 9, 21] },
    { text: "data: [DONE]\n\ndata: 1\n\n", found: ["done", 0, 14] },
    { text: `data: {"error":{"code":"é"}}\n\ndata: [DONE]\n\n`, found: ["error", 0, 31] },
    { text: `: c\n\nevent: error\ndata: { "error" : {} }\n\n`, found: ["error", 5, 42] },
    { text: `data: {"type":"error","error":{}}\n\n`, found: ["error", 0, 35] },
    { text: `data: {"error":null,"choices":[]}\n\n`, found: undefined },
    { text: `data: {"choices":[{"delta":{"content":"\\"error\\": [DONE]"}}]}\n\n`, found: undefined },
    { text: `data: "data: [DONE]"\n\n`, found: undefined },
    { text: "data: 1\n\n", found: undefined },
  ])("$text", ({ text, found }) => {
    const last = new EventFramer().lastEventIn(Buffer.from(text));
    expect(last === null ? undefined : [last.kind, last.start, last.end]).toEqual(found);
  });

  test("an event too large to keep is handed on in pieces", () => {
    const framer = new EventFramer();
    const piece = framer.push(Buffer.alloc(MAX_HELD_BYTES + 1, "x"));
    expect(piece?.length).toBe(MAX_HELD_BYTES + 1);
    expect(framer.insideEvent).toBe(true);
    framer.push(Buffer.from("\n\n"));
    expect(framer.insideEvent).toBe(false);
  });
});

test.each([
  { text: `{"choices":[{"delta":{"role":"assistant","content":""}}]}`, content: false },
  { text: `{"choices":[{"delta":{"content":"H"}}]}`, content: true },
  { text: `{"choices":[{"delta":{"reasoning_content": "H"}}]}`, content: true },
  { text: `{"choices":[{"text":"H"}]}`, content: true },
  { text: `{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}`, content: true },
  { text: `{"choices":[],"usage":{}}`, content: false },
])("first content: $text", ({ text, content }) => {
  const framer = new EventFramer();
  const bytes = Buffer.from(`data: ${text}\n\n`);
  expect(framer.isFirstContent(bytes)).toBe(content);
  expect(framer.isFirstContent(bytes)).toBe(false);
});

test("a comment is one line, whatever is put into it", () => {
  expect(comment("a\ndata: b\r\nc")).toBe(": a data: b c\n\n");
});
