import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MESSAGES_ROUTE } from "../../../src/gateway/dialect/anthropic/messages-route.ts";

const IDENTITY = { newId: () => "1", nowSecs: 0, elapsedMs: () => 0 };

/** A piece of an answer as OpenAI's chunks carry it. */
type Piece =
  | { readonly kind: "thinking" | "text"; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly parts: readonly string[] };

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constantFrom("thinking" as const, "text" as const), text: words }),
  fc.record({
    kind: fc.constant("call" as const),
    name: fc.constantFrom("look", "write"),
    parts: fc.array(words, { maxLength: 3 }),
  }),
);
const FINISH = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" } as const;
const answer = fc.record({
  pieces: fc.array(piece, { maxLength: 8 }),
  finish: fc.constantFrom("stop" as const, "length" as const, "tool_calls" as const),
  usage: fc.option(fc.record({ prompt: fc.nat(500), cached: fc.nat(500), completion: fc.nat(500) }), {
    nil: null,
  }),
});
type Answer = typeof answer extends fc.Arbitrary<infer Value> ? Value : never;

const chunk = (delta: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});

function chunksOf({ pieces, finish, usage }: Answer): unknown[] {
  let calls = -1;
  const chunks = pieces.flatMap((one): unknown[] => {
    if (one.kind !== "call") {
      return [chunk(one.kind === "text" ? { content: one.text } : { reasoning_content: one.text })];
    }
    calls += 1;
    const index = calls;
    return [
      chunk({
        tool_calls: [
          { index, id: `call_${index}`, type: "function", function: { name: one.name, arguments: "" } },
        ],
      }),
      ...one.parts.map((part) => chunk({ tool_calls: [{ index, function: { arguments: part } }] })),
    ];
  });
  const told =
    usage === null
      ? []
      : [
          {
            choices: [],
            usage: {
              prompt_tokens: usage.prompt + usage.cached,
              completion_tokens: usage.completion,
              prompt_tokens_details: { cached_tokens: usage.cached },
            },
          },
        ];
  return [chunk({ role: "assistant", content: "" }), ...chunks, chunk({}, finish), ...told];
}

interface Event {
  readonly name: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

function eventsOf(told: Answer): Event[] {
  const { answer: translator } = MESSAGES_ROUTE.translate(
    { model: "m", messages: [], stream: true },
    IDENTITY,
  );
  const stream = translator.stream(() => 7);
  const text =
    chunksOf(told)
      .map((one) => stream.chunk(one))
      .join("") + stream.done();
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ name: event, data: JSON.parse(data) as Event["data"] }),
  });
  parser.feed(text);
  return events;
}

/** The grammar of a stream as its clients hold it: what breaks it, in words. */
const broken = (events: readonly Event[]): string[] => [...brokenFrame(events), ...brokenBlocks(events)];

function brokenFrame(events: readonly Event[]): string[] {
  const types = events.map(({ data }) => data["type"]);
  const once = (type: string) => types.filter((one) => one === type).length === 1;
  return [
    ...events
      .filter(({ name, data }) => name !== data["type"])
      .map(({ name }) => `${String(name)} is misnamed`),
    ...(types[0] === "message_start" && once("message_start")
      ? []
      : ["message_start is not first, or not once"]),
    ...(types.at(-2) === "message_delta" && once("message_delta")
      ? []
      : ["message_delta is not last but one"]),
    ...(types.at(-1) === "message_stop" && once("message_stop")
      ? []
      : ["message_stop is not last, or not once"]),
  ];
}

function brokenBlocks(events: readonly Event[]): string[] {
  const laws: string[] = [];
  let open: number | null = null;
  let next = 0;
  for (const { data } of events) {
    const { type, index } = data;
    if (type === "content_block_start") {
      if (open !== null || index !== next) laws.push("a block begins inside another, or out of order");
      open = next;
      next += 1;
    } else if (type === "content_block_delta" || type === "content_block_stop") {
      if (index !== open) laws.push(`${type} outside of its block`);
      if (type === "content_block_stop") open = null;
    } else if (open !== null) laws.push(`${String(type)} inside a block`);
  }
  return laws;
}

interface Delta {
  readonly text?: string;
  readonly thinking?: string;
  readonly partial_json?: string;
}

/** What a client makes of the events, block by block. */
function blocksOf(events: readonly Event[]): { kind: unknown; name: unknown; text: string }[] {
  const blocks: { kind: unknown; name: unknown; text: string }[] = [];
  for (const { data } of events) {
    if (data["type"] === "content_block_start") {
      const { type, name } = data["content_block"] as { type: string; name?: string };
      blocks.push({ kind: type, name, text: "" });
    }
    const last = blocks.at(-1);
    if (data["type"] !== "content_block_delta" || last === undefined) continue;
    const delta = data["delta"] as Delta;
    last.text += delta.text ?? delta.thinking ?? delta.partial_json ?? "";
  }
  return blocks;
}

/** The same from the pieces: neighbours of one kind are one block, a call without arguments has none. */
function expectedBlocks({ pieces }: Answer): { kind: string; name: string | undefined; text: string }[] {
  const blocks: { kind: string; name: string | undefined; text: string }[] = [];
  for (const one of pieces) {
    const last = blocks.at(-1);
    if (one.kind === "call") {
      const json = one.parts.join("");
      blocks.push({ kind: "tool_use", name: one.name, text: json === "" ? "{}" : json });
    } else if (last?.kind === one.kind) last.text += one.text;
    else blocks.push({ kind: one.kind, name: undefined, text: one.text });
  }
  return blocks;
}

describe("a stream of messages", () => {
  test("has the grammar that clients hold it to, and says all of what the model said", () => {
    fc.assert(
      fc.property(answer, (told) => {
        const events = eventsOf(told);
        expect(broken(events)).toEqual([]);
        expect(blocksOf(events)).toEqual(expectedBlocks(told));
        expect(events.at(-2)?.data).toMatchObject({
          delta: { stop_reason: FINISH[told.finish], stop_sequence: null },
          usage:
            told.usage === null
              ? { input_tokens: 7, output_tokens: 0 }
              : {
                  input_tokens: told.usage.prompt,
                  cache_read_input_tokens: told.usage.cached,
                  output_tokens: told.usage.completion,
                },
        });
        expect(events[0]?.data).toMatchObject({
          message: { id: "msg_1", model: "m", usage: { input_tokens: 7 } },
        });
      }),
    );
  });

  test("a stop string is named", () => {
    const { answer: translator } = MESSAGES_ROUTE.translate({ model: "m", messages: [] }, IDENTITY);
    const stream = translator.stream(() => null);
    stream.chunk({ choices: [{ delta: {}, finish_reason: "stop", stop_reason: "END" }] });
    expect(stream.done()).toContain('"delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}');
  });
});
