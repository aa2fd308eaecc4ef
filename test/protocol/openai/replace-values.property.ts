import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BodyScan } from "../../../src/protocol/openai/body-scan.ts";
import { replaceValues } from "../../../src/protocol/openai/replace-values.ts";

function rewritten(text: string, modelId: string): string {
  const body = Buffer.from(text);
  const scan = new BodyScan(body);
  scan.advance(body.length);
  return replaceValues(body, scan.fields.models, modelId).toString("utf8");
}

describe("by hand", () => {
  test.each([
    { what: "plain", body: `{"model":"a"}`, expected: `{"model":"N"}` },
    {
      what: "white space",
      body: ` {\n\t"model"\r :  "a" , "x":1 } `,
      expected: ` {\n\t"model"\r :  "N" , "x":1 } `,
    },
    {
      what: "nested keys",
      body: `{"a":{"model":"x"},"b":[{"model":"y"}],"model":"a"}`,
      expected: `{"a":{"model":"x"},"b":[{"model":"y"}],"model":"N"}`,
    },
    {
      what: "the key in text",
      body: `{"t":"\\"model\\":\\"x\\"","model":"a"}`,
      expected: `{"t":"\\"model\\":\\"x\\"","model":"N"}`,
    },
    { what: "an escaped key", body: `{"mod\\u0065l":"a"}`, expected: `{"mod\\u0065l":"N"}` },
    {
      what: "escapes in the value",
      body: `{"model":"a\\\\\\"b","x":"\\\\"}`,
      expected: `{"model":"N","x":"\\\\"}`,
    },
    { what: "twice", body: `{"model":1,"x":{},"model":"a"}`, expected: `{"model":"N","x":{},"model":"N"}` },
    {
      what: "similar keys",
      body: `{"models":"a","mode":"b","Model":"c"}`,
      expected: `{"models":"a","mode":"b","Model":"c"}`,
    },
    { what: "no key", body: `{}`, expected: `{}` },
    {
      what: "numbers keep their digits",
      body: `{"n":1.00e+2,"big":12345678901234567890,"model":"a"}`,
      expected: `{"n":1.00e+2,"big":12345678901234567890,"model":"N"}`,
    },
    {
      what: "other scripts",
      body: `{"ключ":"значение 🦜","model":"модель"}`,
      expected: `{"ключ":"значение 🦜","model":"N"}`,
    },
  ])("$what", ({ body, expected }) => {
    expect(rewritten(body, "N")).toBe(expected);
  });
});

const value = fc.jsonValue({ maxDepth: 4 });
const key = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("model", "models", "stream"));
const gap = fc.constantFrom("", " ", "\n", "\t", "\r\n  ");
/** A member as raw JSON, with the white space around it that a client might send. */
const member = fc
  .record({ key, value, gaps: fc.tuple(gap, gap, gap, gap), indent: fc.constantFrom(0, 2) })
  .map(({ key: name, value: content, gaps: [g1, g2, g3, g4], indent }) => ({
    name,
    before: `${g1}${JSON.stringify(name)}${g2}:${g3}`,
    value: JSON.stringify(content, null, indent),
    after: g4,
  }));

test("law: every byte outside the top-level value of `model` stays as it was", () => {
  fc.assert(
    fc.property(
      fc.array(member, { maxLength: 8 }),
      fc.string({ unit: "grapheme", minLength: 1 }),
      (members, id) => {
        const join = (valueOf: (one: (typeof members)[number]) => string) =>
          `{${members.map((one) => one.before + valueOf(one) + one.after).join(",")}}`;
        const before = join((one) => one.value);
        const expected = join((one) => (one.name === "model" ? JSON.stringify(id) : one.value));
        expect(rewritten(before, id)).toBe(expected);
      },
    ),
    { numRuns: 500 },
  );
});
