import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { usageOf, UsageWatch } from "../../../src/worker/external/usage-watch.ts";

function passed(stream: Buffer, cuts: readonly number[], keepsBack: boolean) {
  const watch = new UsageWatch({ keepsBack });
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length].toSorted(
    (a, b) => a - b,
  );
  const parts = places.slice(1).map((end, at) => watch.push(stream.subarray(places[at], end)));
  return { bytes: Buffer.concat([...parts, watch.rest()]), usage: watch.usage };
}

const LAST = '{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}';
const event = fc.oneof(
  fc.constantFrom(
    ": waiting",
    "event: ping\ndata: {}",
    'data: {"choices":[{"delta":{"content":"\\"usage\\""}}]}',
  ),
  fc.string().map((text) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}`),
);
const lineEnd = fc.constantFrom("\n\n", "\r\n\r\n", "\r\r");
const events = fc
  .array(fc.tuple(event, lineEnd), { maxLength: 12 })
  .map((list) => list.map(([a, b]) => a + b).join(""));

describe("a stream that is watched for its usage", () => {
  test("law: every byte passes, however it is cut, but the event that only says the usage", () => {
    fc.assert(
      fc.property(
        fc.record({
          before: events,
          after: events,
          cuts: fc.array(fc.nat(), { maxLength: 6 }),
          ours: fc.boolean(),
        }),
        ({ before, after, cuts, ours }) => {
          const usageEvent = `data: ${LAST}\n\n`;
          const { bytes, usage } = passed(Buffer.from(before + usageEvent + after), cuts, ours);
          expect(bytes.toString("utf8")).toBe(ours ? before + after : before + usageEvent + after);
          expect(usage).toEqual({
            promptTokens: 5,
            completionTokens: 2,
            cachedTokens: 0,
            reasoningTokens: 0,
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  test("events whose lines end in CR alone are neither held nor misread", () => {
    const watch = new UsageWatch({ keepsBack: true });
    const first = Buffer.from('data: {"choices":[{"delta":{"content":"a"}}]}\r\r');
    expect(watch.push(first)).toEqual(first);
    expect(watch.push(Buffer.from(`event: usage\rdata: ${LAST}\r\r`))).toHaveLength(0);
    expect(watch.usage).toMatchObject({ promptTokens: 5, completionTokens: 2 });
  });

  test("an event that never ends is not kept for ever", () => {
    const watch = new UsageWatch({ keepsBack: true });
    const piece = Buffer.alloc(700_000, "x");
    expect(watch.push(piece)).toHaveLength(0);
    expect(watch.push(piece)).toHaveLength(1_400_000);
    expect(watch.push(Buffer.from("y\n\ndata: 1\n\n")).toString()).toBe("y\n\ndata: 1\n\n");
  });
});

test.each([
  [{ usage: { prompt_tokens: 4, completion_tokens: 6 } }, { promptTokens: 4, completionTokens: 6 }],
  [{ usage: { total_tokens: 4 } }, { promptTokens: 4, completionTokens: 0 }],
  [{ usage: { prompt_tokens: -1 } }, undefined],
  [{ usage: null }, undefined],
  ["page", undefined],
])("usage of %j", (answer, expected) => {
  const none = { cachedTokens: 0, reasoningTokens: 0 };
  expect(usageOf(answer)).toEqual(expected === undefined ? undefined : { ...expected, ...none });
});
