import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CortexError } from "../../../src/core/errors.ts";
import { isRecord, parseJson } from "../../../src/core/json.ts";
import { BodyScan, SLICE_BYTES } from "../../../src/protocol/openai/body-scan.ts";

interface Found {
  readonly isObject: boolean;
  readonly model: unknown;
  readonly stream: unknown;
  readonly prompts: number;
}

/** What the scan finds, in pieces of the given size; null when it refuses. */
function scanned(body: Buffer, sliceBytes: number): Found | null {
  const scan = new BodyScan(body);
  try {
    for (let slices = 0; !scan.advance(sliceBytes); slices += 1)
      expect(slices).toBeLessThanOrEqual(body.length);
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "malformed_json") return null;
    throw thrown;
  }
  const { isObject, models, stream, prompts } = scan.fields;
  const last = models.at(-1);
  const valueAt = (span: { start: number; end: number } | null | undefined) =>
    span == null ? undefined : parseJson(body.toString("utf8", span.start, span.end));
  return { isObject, model: valueAt(last), stream: valueAt(stream), prompts };
}

/** The same by `JSON.parse`; null where it refuses. */
function parsed(body: Buffer): Found | null {
  const value = parseJson(body.toString("utf8"));
  if (value === undefined) return null;
  const fields = isRecord(value) ? value : {};
  const own = (key: string) => (Object.hasOwn(fields, key) ? fields[key] : undefined);
  const prompt = own("prompt");
  const items: unknown[] = Array.isArray(prompt) ? prompt : [];
  const prompts = items.filter((item) => typeof item === "string" || Array.isArray(item)).length;
  return { isObject: isRecord(value), model: own("model"), stream: own("stream"), prompts };
}

const KEYS = ["prompt", "model", "stream", "mod\\u0065l", "\\u0073tream", "models", "__proto__", ""];
const key = fc.oneof(
  fc.constantFrom(...KEYS).map((spelt) => `"${spelt}"`),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
);
const gap = fc.constantFrom("", "", " ", "\n", "\t\r\n ");
const value = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.constantFrom(
    "true",
    "false",
    "null",
    "-0.5e+3",
    "0",
    "12345678901234567890",
    '["one", "t\\"w]o", [1, 2], 3, {"prompt": ["x"]}, null]',
    "[1, 2, 3]",
    '"org\\/a"',
    '"\\\\"',
    '"\\\\\\""',
  ),
  fc.string({ unit: "binary", minLength: 40, maxLength: 200 }).map((text) => JSON.stringify(text)),
  fc.nat({ max: 60 }).map((depth) => "[".repeat(depth) + "]".repeat(depth) || "[]"),
);
const object = fc
  .array(fc.tuple(gap, key, gap, gap, value, gap), { maxLength: 6 })
  .map(
    (members) =>
      `{${members.map(([a, name, b, c, inner, d]) => `${a}${name}${b}:${c}${inner}${d}`).join(",")}}`,
  );
const document = fc
  .tuple(gap, fc.oneof({ weight: 4, arbitrary: object }, value), gap)
  .map((parts) => parts.join(""));
const slice = fc.integer({ min: 1, max: 64 });

describe("laws", () => {
  test("what JSON.parse takes is taken, with the same fields, in whatever pieces it is read", () => {
    fc.assert(
      fc.property(document, slice, (text, sliceBytes) => {
        const body = Buffer.from(text);
        expect(scanned(body, sliceBytes)).toEqual(parsed(body));
      }),
      { numRuns: 2000 },
    );
  });

  test("what is refused JSON.parse refuses, and the pieces make no difference: spoilt documents", () => {
    const spoilt = fc
      .tuple(
        document,
        fc.nat(),
        fc.constantFrom("{", "}", "[", "]", ",", ":", '"', "\\", " ", "\u0000", "x", "0", "-", ""),
        fc.nat({ max: 2 }),
      )
      .map(([text, place, put, cut]) => {
        const at = place % (text.length + 1);
        return text.slice(0, at) + put + text.slice(at + cut);
      });
    fc.assert(
      fc.property(spoilt, slice, (text, sliceBytes) => {
        const body = Buffer.from(text);
        const found = scanned(body, sliceBytes);
        expect(found).toEqual(scanned(body, body.length + 1));
        const truth = parsed(body);
        // Inside strings it is laxer, so it may take what JSON.parse refuses; never the other way round.
        expect(truth ?? found).toEqual(found);
      }),
      { numRuns: 2000 },
    );
  });

  test("bytes of any kind are refused or taken, never looped over", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), slice, (bytes, sliceBytes) => {
        const body = Buffer.from(bytes);
        const truth = parsed(body);
        const found = scanned(body, sliceBytes);
        expect(truth ?? found).toEqual(found);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("by hand: not JSON, though a scan for brackets would take it", () => {
  test.each([
    "{",
    "[}",
    '{"a" 1}',
    '{"a":1,}',
    "[1,]",
    "{,}",
    '{"a":}',
    "[1 2]",
    '{"a":tru}',
    "[01]",
    "[1.]",
    "{} {}",
    '"a',
    '"\\',
    "",
    "nan",
  ])("%j", (text) => {
    expect(scanned(Buffer.from(text), 1)).toBeNull();
  });
});

const MIB = 1024 * 1024;

describe("large bodies made to be slow: each slice is short work", () => {
  test.each([
    { what: "nested brackets", body: Buffer.alloc(8 * MIB, "[") },
    { what: "nested objects", body: Buffer.from('{"a":'.repeat(1_600_000)) },
    { what: "escaped quotes", body: Buffer.concat([Buffer.from('"'), Buffer.alloc(8 * MIB, '\\"')]) },
    {
      what: "backslashes",
      body: Buffer.concat([Buffer.from('"'), Buffer.alloc(8 * MIB, "\\\\"), Buffer.from('"')]),
    },
    { what: "short strings", body: Buffer.concat([Buffer.from("["), Buffer.alloc(8 * MIB, '"",')]) },
    {
      what: "long strings with an escape each",
      body: Buffer.concat([Buffer.from('"'), Buffer.alloc(8 * MIB, `${"x".repeat(60)}\\n`)]),
    },
    { what: "digits", body: Buffer.alloc(8 * MIB, "1") },
    {
      what: "one string",
      body: Buffer.concat([Buffer.from('"'), Buffer.alloc(8 * MIB, "x"), Buffer.from('"')]),
    },
  ])("$what", ({ body }) => {
    const { slices, longestMs } = timed(new BodyScan(body));
    expect(slices).toBeLessThanOrEqual(body.length / SLICE_BYTES + 1);
    expect(longestMs).toBeLessThan(50);
  });
});

/** CPU of this thread, so that a busy machine does not count. */
function timed(scan: BodyScan): { slices: number; longestMs: number } {
  let longestMs = 0;
  for (let slices = 1; ; slices += 1) {
    const { user } = process.threadCpuUsage();
    const isOver = advanced(scan);
    longestMs = Math.max(longestMs, (process.threadCpuUsage().user - user) / 1000);
    if (isOver) return { slices, longestMs };
  }
}

/** A refusal ends it, too. */
function advanced(scan: BodyScan): boolean {
  try {
    return scan.advance(SLICE_BYTES);
  } catch {
    return true;
  }
}
