import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { ResponseStream as SdkStream } from "openai/lib/responses/ResponseStream";
import { describe, expect, test } from "vitest";
import { RESPONSES_ROUTE } from "../../../src/gateway/dialect/responses/responses-route.ts";

/** A piece of an answer as OpenAI's chunks carry it. */
type Piece =
  | { readonly kind: "thinking" | "text"; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly parts: readonly string[] };

type Fields = Readonly<Record<string, unknown>>;

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constantFrom("thinking" as const, "text" as const), text: words }),
  fc.record({
    kind: fc.constant("call" as const),
    name: fc.constantFrom("look", "files__read", "patch"),
    parts: fc.array(words, { maxLength: 3 }),
  }),
);
const story = fc.record({
  pieces: fc.array(piece, { maxLength: 8 }),
  finish: fc.constantFrom("stop" as const, "length" as const, "tool_calls" as const),
  usage: fc.option(fc.record({ prompt: fc.nat(500), cached: fc.nat(500), completion: fc.nat(500) }), {
    nil: null,
  }),
  /** After which chunks the model is slow. */
  pauses: fc.array(fc.nat(12), { maxLength: 4 }),
});
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

const TOOLS = [
  { type: "function", name: "look" },
  { type: "namespace", name: "files", tools: [{ type: "function", name: "read" }] },
  { type: "custom", name: "patch" },
];

const chunk = (delta: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});

function chunksOf({ pieces, finish, usage }: Story): unknown[] {
  let calls = -1;
  const chunks = pieces.flatMap((one): unknown[] => {
    if (one.kind !== "call") {
      return [chunk(one.kind === "text" ? { content: one.text } : { reasoning_content: one.text })];
    }
    calls += 1;
    const index = calls;
    const called = { index, id: `call_${index}`, function: { name: one.name, arguments: "" } };
    return [
      chunk({ tool_calls: [called] }),
      ...one.parts.map((part) => chunk({ tool_calls: [{ index, function: { arguments: part } }] })),
    ];
  });
  const told = {
    choices: [],
    usage: usage && {
      prompt_tokens: usage.prompt + usage.cached,
      completion_tokens: usage.completion,
      prompt_tokens_details: { cached_tokens: usage.cached },
    },
  };
  return [chunk({ role: "assistant", content: "" }), ...chunks, chunk({}, finish), told];
}

interface Event {
  readonly name: string | undefined;
  readonly data: Fields;
}

function translator() {
  let ids = 0;
  const newId = () => {
    ids += 1;
    return String(ids);
  };
  const { answer } = RESPONSES_ROUTE.translate(
    { model: "m", input: "hi", instructions: "i", tools: TOOLS, stream: true },
    { newId, nowSecs: 7, elapsedMs: () => 0 },
  );
  return answer.stream(() => null);
}

function parsed(text: string): Event[] {
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ name: event, data: JSON.parse(data) as Fields }),
  });
  parser.feed(text);
  return events;
}

const toldUntil = (stream: ReturnType<typeof translator>, told: Story, end = Infinity): string =>
  chunksOf(told)
    .slice(0, end)
    .map((one, index) => (told.pauses.includes(index) ? stream.keepAlive() : "") + stream.chunk(one))
    .join("");

function eventsOf(told: Story): Event[] {
  const stream = translator();
  return parsed(toldUntil(stream, told) + stream.done());
}

/** What may come next of an item: its events from `added` to `done`, deltas any number of times. */
const LIFE: Readonly<Record<string, readonly RegExp[]>> = {
  message: [
    /^response\.content_part\.added$/,
    /^response\.output_text\.delta$/,
    /^response\.output_text\.done$/,
    /^response\.content_part\.done$/,
  ],
  reasoning: [
    /^response\.reasoning_summary_part\.added$/,
    /^response\.reasoning_summary_text\.delta$/,
    /^response\.reasoning_summary_text\.done$/,
    /^response\.reasoning_summary_part\.done$/,
  ],
  function_call: [/^response\.function_call_arguments\.delta$/, /^response\.function_call_arguments\.done$/],
  custom_tool_call: [/^response\.custom_tool_call_input\.delta$/, /^response\.custom_tool_call_input\.done$/],
};

interface OpenItem {
  readonly index: number;
  readonly id: unknown;
  readonly type: string;
  step: number;
}

const itemIn = ({ item }: Fields): { readonly id: unknown; readonly type: string } =>
  item as { id: unknown; type: string };

/** The grammar of a stream as its clients hold it: what breaks it, in words. */
class Grammar {
  readonly broken: string[] = [];
  #open: OpenItem | null = null;
  #items = 0;
  #last = "";
  #count = 0;

  event({ name, data }: Event): void {
    const type = String(data["type"]);
    this.#demand(name === type, `${String(name)} is misnamed`);
    this.#demand(data["sequence_number"] === this.#count, `${type} is out of sequence`);
    this.#demand(
      (type === "response.created") === (this.#count === 0),
      "response.created is not first, or not once",
    );
    this.#demand(type === "response.in_progress" || this.#count !== 1, "response.in_progress is not second");
    this.#demand(!/completed|incomplete|failed/.test(this.#last), `${type} after the end`);
    this.#count += 1;
    this.#last = type;
    if (type === "response.output_item.added") this.#added(data);
    else if (type === "response.output_item.done") this.#done(data);
    else if ("item_id" in data) this.#part(type, data);
    else if (type !== "response.in_progress") this.#demand(this.#open === null, `${type} inside an item`);
  }

  end(): string[] {
    this.#demand(
      /^response\.(?:completed|incomplete|failed)$/.test(this.#last),
      `${this.#last} is the last event`,
    );
    return this.broken;
  }

  #demand(holds: boolean, law: string): void {
    if (!holds) this.broken.push(law);
  }

  #added(data: Fields): void {
    this.#demand(this.#open === null, "an item begins inside another");
    this.#demand(data["output_index"] === this.#items, "an item is out of order");
    this.#open = { index: this.#items, ...itemIn(data), step: 0 };
    this.#items += 1;
  }

  #part(type: string, data: Fields): void {
    const open = this.#open;
    this.#demand(
      data["item_id"] === open?.id && data["output_index"] === open?.index,
      `${type} outside of its item`,
    );
    if (open === null) return;
    const life = LIFE[open.type] ?? [];
    if (type.endsWith(".delta") && this.#isRepeated(open, type)) return;
    if (!this.#matches(open, type) && life[open.step]?.source.includes("delta") === true) open.step += 1;
    this.#demand(this.#matches(open, type), `${type} at the wrong place of its item`);
    open.step += 1;
  }

  readonly #matches = ({ type, step }: OpenItem, event: string): boolean =>
    LIFE[type]?.[step]?.test(event) === true;

  readonly #isRepeated = ({ type, step }: OpenItem, event: string): boolean =>
    LIFE[type]?.[step - 1]?.test(event) === true;

  #done(data: Fields): void {
    const open = this.#open;
    const item = itemIn(data);
    this.#demand(
      item.id === open?.id && data["output_index"] === open?.index,
      "an item is done that is not open",
    );
    this.#demand(open?.step === LIFE[item.type]?.length, `a ${item.type} is done before its parts`);
    this.#open = null;
  }
}

function broken(events: readonly Event[]): string[] {
  const grammar = new Grammar();
  for (const event of events) grammar.event(event);
  return grammar.end();
}

interface Said {
  readonly type: string;
  readonly name?: string;
  readonly namespace?: string;
  text: string;
}

/** What clients make of the deltas. */
function deltasOf(events: readonly Event[]): Said[] {
  const items: Said[] = [];
  for (const { data } of events) {
    if (data["type"] === "response.output_item.added") items.push(saidBy(data["item"] as Fields, ""));
    const last = items.at(-1);
    if (last !== undefined && typeof data["delta"] === "string") last.text += data["delta"];
  }
  return items;
}

const saidBy = (item: Fields, text: string): Said => ({
  type: String(item["type"]),
  ...(typeof item["name"] === "string" ? { name: item["name"] } : {}),
  ...(typeof item["namespace"] === "string" ? { namespace: item["namespace"] } : {}),
  text,
});

interface TextPart {
  readonly text: string;
}

const textIn = (item: Fields): string =>
  [
    ...((item["content"] ?? []) as readonly TextPart[]).map(({ text }) => text),
    ...((item["summary"] ?? []) as readonly TextPart[]).map(({ text }) => text),
    ...[item["arguments"], item["input"]].filter((text) => typeof text === "string"),
  ].join("");

const itemsOf = (items: readonly Fields[]): Said[] => items.map((item) => saidBy(item, textIn(item)));

const doneItems = (events: readonly Event[]): Fields[] =>
  events
    .filter(({ data }) => data["type"] === "response.output_item.done")
    .map(({ data }) => data["item"] as Fields);

const KNOWN_AS: Readonly<Record<string, Omit<Said, "text">>> = {
  look: { type: "function_call", name: "look" },
  files__read: { type: "function_call", name: "read", namespace: "files" },
  patch: { type: "custom_tool_call", name: "patch" },
};

/** The same from the pieces: neighbours of one kind are one item, a call without arguments has none. */
function expectedItems({ pieces }: Story): Said[] {
  const items: Said[] = [];
  for (const one of pieces) {
    if (one.kind === "call") {
      const known = KNOWN_AS[one.name] ?? { type: "?" };
      items.push({ ...known, text: one.parts.join("") || "{}" });
      continue;
    }
    const type = one.kind === "text" ? "message" : "reasoning";
    const last = items.at(-1);
    if (last?.type === type) last.text += one.text;
    else items.push({ type, text: one.text });
  }
  return items.length === 0 ? [{ type: "message", text: "" }] : items;
}

const ENDING = {
  stop: { status: "completed", incomplete_details: null },
  tool_calls: { status: "completed", incomplete_details: null },
  length: { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
} as const;

const usageOf = ({ usage }: Story) =>
  usage && {
    input_tokens: usage.prompt + usage.cached,
    input_tokens_details: { cached_tokens: usage.cached, cache_write_tokens: 0 },
    output_tokens: usage.completion,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.prompt + usage.cached + usage.completion,
  };

const lastOf = (events: readonly Event[]): Fields => events.at(-1)?.data["response"] as Fields;

/** What OpenAI's SDK puts together from the events. */
function asSdkReads(events: readonly Event[]) {
  const lines = events.map(({ data }) => `${JSON.stringify(data)}\n`).join("");
  return SdkStream.fromReadableStream(new Blob([lines]).stream()).finalResponse();
}

describe("a stream of responses", () => {
  test("has the grammar that clients hold it to, and says all of what the model said, pauses or not", () => {
    fc.assert(
      fc.property(story, (told) => {
        const events = eventsOf(told);
        const expected = expectedItems(told);
        expect(broken(events)).toEqual([]);
        expect(deltasOf(events)).toEqual(expected);
        expect(itemsOf(doneItems(events))).toEqual(expected);
        const last = lastOf(events);
        expect(last["output"]).toEqual(doneItems(events));
        expect(last).toMatchObject({ id: "resp_1", model: "m", created_at: 7, ...ENDING[told.finish] });
        expect(last["usage"]).toEqual(usageOf(told));
      }),
    );
  });

  test("OpenAI's SDK reads the same out of it", async () => {
    await fc.assert(
      fc.asyncProperty(story, async (told) => {
        const events = eventsOf(told);
        const read = await asSdkReads(events);
        expect(read).toMatchObject({ id: "resp_1", status: ENDING[told.finish].status });
        expect(itemsOf(read.output as unknown as Fields[])).toEqual(expectedItems(told));
      }),
      { numRuns: 30 },
    );
  });

  test("one that breaks off says so, wherever that is, and repeats what was done", () => {
    fc.assert(
      fc.property(story, fc.nat(12), (told, end) => {
        const stream = translator();
        const begun = toldUntil(stream, told, end);
        const events = parsed(
          begun + stream.error({ error: { message: "gone", type: "api_error", code: "c" } }, 502),
        );
        expect(events.map(({ name }) => name).slice(-2)).toEqual(["error", "response.failed"]);
        expect(events.at(-2)?.data).toMatchObject({
          code: "c",
          message: "gone",
          error: { type: "api_error" },
        });
        expect(lastOf(events)).toMatchObject({ status: "failed", error: { code: "c", message: "gone" } });
        expect(lastOf(events)["output"]).toEqual(doneItems(events));
        expect(events.map(({ data }) => data["sequence_number"])).toEqual(events.map((_, index) => index));
      }),
    );
  });

  test("a call that goes on where it is not open is no answer", () => {
    const stream = translator();
    stream.chunk(chunk({ tool_calls: [{ index: 0, id: "a", function: { name: "look" } }] }));
    stream.chunk(chunk({ tool_calls: [{ index: 1, id: "b", function: { name: "look" } }] }));
    expect(() => stream.chunk(chunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }))).toThrow(
      "not open",
    );
  });
});
