import { describe, expect, test } from "vitest";
import { BodyScan } from "../../../src/protocol/openai/body-scan.ts";
import { readRequestFacts } from "../../../src/gateway/front/request-facts.ts";
import { affinityOf } from "../../../src/gateway/routing/affinity.ts";
import { afterAnswer, answerSpeed, comparableSpeeds } from "../../../src/gateway/routing/replica-speed.ts";
import { openingBytes, openingOf } from "../../../src/protocol/openai/conversation-opening.ts";

const system = { role: "system", content: 'You say "role": "user" a lot.' };
const developer = { role: "developer", content: "Be short." };
const hello = { role: "user", content: "hello" };
const answer = { role: "assistant", content: "hi" };
const more = { role: "user", content: "and now?" };

type Headers = Readonly<Record<string, string>>;

function keyOf(fields: Readonly<Record<string, unknown>>, headers: Headers = {}): string | null {
  const body = Buffer.from(JSON.stringify({ model: "m", ...fields }));
  const scan = new BodyScan(body);
  while (!scan.advance(7));
  return affinityOf({ headers, ...readRequestFacts(body, scan.fields) });
}

function bytes(messages: unknown): string | undefined {
  const opening = openingOf(messages);
  return opening === null ? undefined : openingBytes(opening)?.toString();
}

describe("one conversation", () => {
  test.each([
    { what: "with instructions", first: [system, hello], next: [system, hello, answer, more] },
    { what: "without any", first: [hello], next: [hello, answer, more] },
    {
      what: "with two kinds of instructions",
      first: [system, developer, hello],
      next: [system, developer, hello, answer, more],
    },
  ])("$what keeps its key from turn to turn", ({ first, next }) => {
    expect(keyOf({ messages: first })).not.toBeNull();
    expect(keyOf({ messages: next, temperature: 1 })).toBe(keyOf({ messages: first }));
  });

  test("is another one than one that has the same instructions and begins otherwise", () => {
    expect(keyOf({ messages: [system, hello] })).not.toBe(keyOf({ messages: [system, more] }));
    expect(keyOf({ messages: [system, hello] })).not.toBe(keyOf({ messages: [hello] }));
  });

  test("is what the client names, by header before body; the name alone counts then", () => {
    const named = keyOf({ messages: [hello] }, { "x-session-id": "s1" });
    expect(keyOf({ messages: [more] }, { "x-session-id": "s1" })).toBe(named);
    expect(keyOf({ messages: [more], prompt_cache_key: "s1" })).toBe(named);
    expect(keyOf({ messages: [more] }, { "x-session-affinity": "s2", "x-session-id": "s1" })).not.toBe(named);
    expect(keyOf({ messages: [hello], prompt_cache_key: 5 })).toBe(keyOf({ messages: [hello] }));
    expect(keyOf({ messages: [hello], user: "u" })).toBe(keyOf({ messages: [hello] }));
  });

  test("of a prompt that grows is told by its beginning; no prompt, no conversation", () => {
    const beginning = "once upon a time ".repeat(20);
    expect(keyOf({ prompt: `${beginning}a` })).toBe(keyOf({ prompt: `${beginning}b` }));
    expect(keyOf({ prompt: "other" })).not.toBe(keyOf({ prompt: `${beginning}b` }));
    expect(keyOf({ input: "a text" })).toBeNull();
    expect(keyOf({ messages: [] })).toBeNull();
  });

  test("a dialect's conversation is told by the same messages", () => {
    expect(bytes([system, hello, answer, more])).toBe(JSON.stringify([system, hello]));
    expect(bytes([system])).toBe(JSON.stringify([system]));
    expect(bytes("none")).toBeUndefined();
  });
});

describe("how fast a copy is", () => {
  test("answers that are too short tell nothing; one slow answer does not undo what was measured", () => {
    expect(answerSpeed({ tokens: 7, tookMs: 10 })).toBeNull();
    expect(answerSpeed({ tokens: 100, tookMs: 2000 })).toBe(50);
    expect(afterAnswer(undefined, 50)).toBe(50);
    expect(afterAnswer(50, 10)).toBe(38);
  });

  test.each([
    {
      what: "nothing was measured: by kind",
      copies: [
        { measured: null, presumed: 10 },
        { measured: null, presumed: 1 },
      ],
      speeds: [10, 1],
    },
    {
      what: "one was: the other as its kind stands to it",
      copies: [
        { measured: 80, presumed: 10 },
        { measured: null, presumed: 1 },
      ],
      speeds: [80, 8],
    },
    {
      what: "all were: as measured, whatever their kind",
      copies: [
        { measured: 5, presumed: 10 },
        { measured: 20, presumed: 1 },
      ],
      speeds: [5, 20],
    },
  ])("$what", ({ copies, speeds }) => {
    expect(comparableSpeeds(copies)).toEqual(speeds);
  });
});
