import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OLLAMA_ROUTES } from "../../../src/gateway/dialect/ollama/ollama-routes.ts";

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
/** A piece of an answer as OpenAI's chunks carry it; the text of arguments comes in two parts. */
const piece = fc.oneof(
  fc.record({ kind: fc.constantFrom("thinking" as const, "text" as const), text: words }),
  fc.record({
    kind: fc.constant("call" as const),
    name: fc.constantFrom("look", "write"),
    given: fc.option(fc.dictionary(words, fc.jsonValue(), { maxKeys: 3 }), { nil: null }),
    cutAt: fc.nat(40),
  }),
  fc.record({ kind: fc.constant("keep-alive" as const) }),
);
type Piece = typeof piece extends fc.Arbitrary<infer Value> ? Value : never;
const pieces = fc.array(piece, { maxLength: 8 });
const usage = fc.record({ prompt: fc.nat(500), completion: fc.nat(500) });

const delta = (fields: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
});

const callDelta = (index: number, fields: Readonly<Record<string, unknown>>) =>
  delta({ tool_calls: [{ index, ...fields }] });

function chunksOf(one: Piece, index: number): unknown[] {
  if (one.kind === "keep-alive") return [null];
  if (one.kind !== "call") {
    return [delta(one.kind === "text" ? { content: one.text } : { reasoning_content: one.text })];
  }
  const json = one.given === null ? "" : JSON.stringify(one.given);
  return [
    callDelta(index, { id: `call_${index}`, function: { name: one.name, arguments: "" } }),
    callDelta(index, { function: { arguments: json.slice(0, one.cutAt) } }),
    callDelta(index, { function: { arguments: json.slice(one.cutAt) } }),
  ];
}

interface Line {
  readonly done: boolean;
  readonly message: {
    readonly content: string;
    readonly thinking?: string;
    readonly tool_calls?: readonly {
      readonly function: { readonly name: string; readonly arguments: unknown };
    }[];
  };
}

function begun() {
  const route = OLLAMA_ROUTES.find(({ path }) => path === "/api/chat");
  if (route === undefined) throw new Error("no route");
  let ms = 0;
  const identity = { newId: () => "1", nowSecs: 0, elapsedMs: () => (ms += 5) };
  const asked = { model: "m", messages: [{ role: "user", content: "a" }] };
  return route.translate(asked, identity).answer.stream(() => 7);
}

const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((one) => JSON.parse(one) as Line);

const joined = (told: readonly Piece[], kind: "text" | "thinking"): string =>
  told.map((one) => (one.kind === kind ? one.text : "")).join("");

const timings = { prompt_ms: 2, predicted_ms: 3 };

describe("a stream of lines", () => {
  test("says all of what the model said, calls whole and in order, and ends once", () => {
    fc.assert(
      fc.property(pieces, usage, fc.constantFrom("stop", "length", "tool_calls"), (told, counted, finish) => {
        const stream = begun();
        const chunks = told.flatMap((one, index) => chunksOf(one, index));
        const text = chunks
          .map((chunk) => (chunk === null ? stream.keepAlive() : stream.chunk(chunk)))
          .join("");
        const counts = { prompt_tokens: counted.prompt, completion_tokens: counted.completion };
        const last = [
          stream.chunk({ ...delta({}, finish), timings }),
          stream.chunk({ choices: [], usage: counts }),
          stream.done(),
        ].join("");
        const lines = linesOf(text + last);
        expect(lines.map(({ done }) => done)).toEqual([...lines.slice(1).map(() => false), true]);
        expect(lines.map(({ message }) => message.content).join("")).toBe(joined(told, "text"));
        expect(lines.map(({ message }) => message.thinking ?? "").join("")).toBe(joined(told, "thinking"));
        const calls = lines.flatMap(({ message }) => message.tool_calls ?? []);
        expect(calls.map(({ function: called }) => [called.name, called.arguments])).toEqual(
          told.flatMap((one) => (one.kind === "call" ? [[one.name, jsonOf(one.given)]] : [])),
        );
        expect(lines.at(-1)).toMatchObject({
          model: "m",
          done_reason: finish === "length" ? "length" : "stop",
          prompt_eval_count: counted.prompt,
          eval_count: counted.completion,
          prompt_eval_duration: 2e6,
          eval_duration: 3e6,
        });
      }),
    );
  });

  test("a call that a limit has cut short is no call", () => {
    const stream = begun();
    stream.chunk(callDelta(0, { id: "call_0", function: { name: "look", arguments: '{"a' } }));
    stream.chunk(delta({}, "length"));
    const lines = linesOf(stream.done());
    expect(lines).toEqual([expect.objectContaining({ done: true, done_reason: "length" })]);
  });

  test("arguments that cannot be read are no answer", () => {
    const stream = begun();
    stream.chunk(callDelta(0, { id: "call_0", function: { name: "look", arguments: '{"a' } }));
    stream.chunk(delta({}, "tool_calls"));
    expect(() => stream.done()).toThrow("not JSON");
  });
});

/** What JSON makes of it (-0, for one). */
const jsonOf = (given: unknown): unknown => (given === null ? {} : JSON.parse(JSON.stringify(given)));
