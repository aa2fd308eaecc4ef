import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CONFORM_DIALECTS } from "../../../src/client/conform/dialects.ts";
import { judgeStream, type StreamEvent } from "../../../src/client/grammar/stream-grammar.ts";
import { parseJson } from "../../../src/core/json.ts";
import { CortexError } from "../../../src/core/errors.ts";
import type { ErrorEnvelope } from "../../../src/protocol/error-envelope.ts";
import { formatUsage, NO_USAGE, USAGE_HEADER } from "../../../src/protocol/headers/usage-header.ts";
import { DIALECT_ROUTES } from "../../../src/gateway/dialect/dialect-routes.ts";
import { TranslatedResponse } from "../../../src/gateway/dialect/io/translated-response.ts";
import { AnswerRelay, type RelayAction } from "../../../src/gateway/relay/relay-answer.ts";
import type { AnswerSink, SinkHeaders } from "../../../src/gateway/relay/io/client-response.ts";

/* What reaches a client of a dialect, out of whatever bytes a neuron sends, held to the grammar of `cortex conform`. */

const DIALECTS = ["anthropic", "responses", "ollama"] as const;
type DialectName = (typeof DIALECTS)[number];

/** Keeps what a client would have got. */
class RecordingSink implements AnswerSink {
  headersSent = false;
  status: number | null = null;
  readonly misread = null;
  readonly isBehind = false;
  readonly drains = 0;
  text = "";
  ending: "open" | "complete" | "broken" = "open";

  keepAlive(event: string): void {
    this.text += event;
  }
  upstreamHead(_headers: SinkHeaders): void {
    // Nobody asks for it.
  }
  writeHead(status: number): void {
    this.headersSent = true;
    this.status = status;
  }
  write(bytes: Buffer): boolean {
    this.text += bytes.toString("utf8");
    return true;
  }
  onDrain(): void {
    // It is never behind.
  }
  end(): void {
    this.ending = "complete";
  }
  sendWhole(status: number, _headers: SinkHeaders, body: Buffer): void {
    this.headersSent = true;
    this.status = status;
    this.text += body.toString("utf8");
    this.ending = "complete";
  }
  cut(): void {
    this.ending = "broken";
  }
  fail(error: CortexError): void {
    throw new Error("a translation says errors itself", { cause: error });
  }
  endWithEvent(envelope: ErrorEnvelope): void {
    throw new Error(`a translation says errors itself: ${envelope.error.message}`);
  }
  drop(): void {
    throw new Error("nobody leaves");
  }
}

interface Upstream {
  readonly bytes: Buffer;
  /** Told in the head. */
  readonly promptTokens: number;
  readonly ending: "ended" | "broke";
}

const BODIES: Readonly<Record<DialectName, unknown>> = {
  anthropic: { model: "m", messages: [{ role: "user", content: "hi" }], max_tokens: 9, stream: true },
  responses: { model: "m", input: "hi", stream: true, tools: [{ type: "function", name: "look" }] },
  ollama: { model: "m", messages: [{ role: "user", content: "hi" }] },
};

/** The bytes of a neuron, cut at these places, as a client of the dialect gets them. */
function received(
  dialect: DialectName,
  { bytes, ending, promptTokens }: Upstream,
  places: readonly number[],
): RecordingSink {
  const route = DIALECT_ROUTES.find(({ path }) => path === CONFORM_DIALECTS[dialect].path);
  if (route === undefined) throw new Error(`no route for ${dialect}`);
  let ids = 0;
  const newId = () => {
    ids += 1;
    return String(ids);
  };
  const { answer } = route.translate(BODIES[dialect], { newId, nowSecs: 7, elapsedMs: () => 0 });
  const sink = new RecordingSink();
  const client = new TranslatedResponse(sink, { answer, errors: route.errors, streamType: route.streamType });
  const relay = new AnswerRelay("n1", false);
  const head = {
    "content-type": "text/event-stream",
    [USAGE_HEADER]: formatUsage({ ...NO_USAGE, promptTokens }),
  };
  relay.headReceived(200, head);
  client.upstreamHead(head);
  const cuts = places.map((place) => place % (bytes.length + 1)).sort((one, other) => one - other);
  for (const [index, end] of [...cuts, bytes.length].entries()) {
    const chunk = bytes.subarray(index === 0 ? 0 : cuts[index - 1], end);
    if (chunk.length > 0) carryOut(client, relay.bytesReceived(chunk));
  }
  carryOut(client, ending === "ended" ? relay.answerEnded() : relay.connectionBroke("UND_ERR_SOCKET"));
  return sink;
}

function carryOut(client: TranslatedResponse, actions: readonly RelayAction[]): void {
  for (const action of actions) {
    if (action.kind === "write-bytes") client.write(action.bytes);
    else if (action.kind === "send-head") client.writeHead(action.status, action.headers);
    else if (action.kind === "end-answer") client.end();
    else if (action.kind === "fail-answer") client.fail(action.error);
    else if (action.kind === "pass-on-error") client.endWithEvent(action.envelope);
    else if (action.kind === "cut-answer") client.cut();
    else if (action.kind === "conclude") concludeAnswer(client, action.result);
  }
}

/** What failed before an answer is the course's to answer: here there is nowhere else to ask. */
function concludeAnswer(
  client: TranslatedResponse,
  result: Extract<RelayAction, { kind: "conclude" }>["result"],
): void {
  if (result.kind === "failed-before-answer") {
    client.fail(new CortexError("upstream_connection_error", `no answer: ${result.code}`));
  } else if (result.kind === "answered-error" && result.answer.envelope !== null) {
    const body = Buffer.from(JSON.stringify(result.answer.envelope));
    client.sendWhole(Math.max(400, result.answer.status), {}, body);
  }
}

function eventsIn(dialect: DialectName, text: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const add = (name: string | undefined, data: string) =>
    events.push({ name, text: data, payload: parseJson(data) });
  if (dialect === "ollama") {
    for (const line of text.split("\n").slice(0, -1)) add(undefined, line);
    return events;
  }
  createParser({ onEvent: ({ event, data }) => add(event, data) }).feed(text);
  return events;
}

/** Either a stream that keeps every rule of its dialect, whole or with an error, or an error in its shape. */
function verdictOn(dialect: DialectName, sink: RecordingSink) {
  const { grammar, errorSchema } = CONFORM_DIALECTS[dialect];
  if (sink.status !== null && sink.status >= 400) {
    const isShaped = errorSchema.safeParse(parseJson(sink.text)).success;
    return { kind: "refused", breaches: isShaped ? [] : [sink.text], told: null };
  }
  const ending = sink.ending === "complete" ? "complete" : "broken";
  const { phase, breaches, told } = judgeStream(grammar, eventsIn(dialect, sink.text), ending);
  return { kind: phase === "ended" ? "whole" : "failed", breaches, told };
}

type Piece =
  | { readonly kind: "thinking" | "text"; readonly text: string }
  | { readonly kind: "call"; readonly input: Readonly<Record<string, unknown>>; readonly cut: number };

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constantFrom("thinking" as const, "text" as const), text: words }),
  fc.record({
    kind: fc.constant("call" as const),
    input: fc.dictionary(fc.constantFrom("a", "b"), words),
    cut: fc.nat(20),
  }),
);

const story = fc.record({
  pieces: fc.array(piece, { minLength: 1, maxLength: 6 }),
  input: fc.integer({ min: 1, max: 500 }),
  output: fc.integer({ min: 1, max: 500 }),
});
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

const dataOf = (payload: unknown): string => `data: ${JSON.stringify(payload)}\n\n`;
const chunk = (delta: unknown, finish: string | null = null): string =>
  dataOf({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });

/** The events of a neuron that tells this story, `[DONE]` last. */
function eventsOf({ pieces, input, output }: Story): string[] {
  let calls = -1;
  const told = pieces.flatMap((one): string[] => {
    if (one.kind !== "call") {
      return [chunk(one.kind === "text" ? { content: one.text } : { reasoning_content: one.text })];
    }
    calls += 1;
    const json = JSON.stringify(one.input);
    const at = one.cut % (json.length + 1);
    const head = {
      index: calls,
      id: `call_${calls}`,
      type: "function",
      function: { name: "look", arguments: "" },
    };
    const parts = [json.slice(0, at), json.slice(at)].filter((part) => part !== "");
    return [
      chunk({ tool_calls: [head] }),
      ...parts.map((part) => chunk({ tool_calls: [{ index: calls, function: { arguments: part } }] })),
    ];
  });
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
  return [
    chunk({ role: "assistant", content: "" }),
    ...told,
    chunk({}, calls === -1 ? "stop" : "tool_calls"),
    dataOf({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [], usage }),
    "data: [DONE]\n\n",
  ];
}

const whole = (events: readonly string[], { input }: Story): Upstream => ({
  bytes: Buffer.from(events.join("")),
  ending: "ended",
  promptTokens: input,
});
const places = fc.array(fc.nat(), { maxLength: 12 });

const GARBAGE = [
  'data: {"cho\n\n',
  "data: 7\n\n",
  "data: {}\n\n",
  "event: x\ndata: null\n\n",
  "\n\n",
  ": hello\n\n",
] as const;

/** Something happens to the events on their way. */
const mishap = fc.oneof(
  fc.record({ kind: fc.constant("lost" as const), at: fc.nat() }),
  fc.record({ kind: fc.constant("twice" as const), at: fc.nat() }),
  fc.record({ kind: fc.constant("swapped" as const), at: fc.nat() }),
  fc.record({ kind: fc.constant("garbage" as const), at: fc.nat(), text: fc.constantFrom(...GARBAGE) }),
);
type Mishap = typeof mishap extends fc.Arbitrary<infer Value> ? Value : never;

function befallen(events: readonly string[], one: Mishap): readonly string[] {
  const at = one.at % events.length;
  const [event = "", next = ""] = events.slice(at);
  if (one.kind === "lost") return events.toSpliced(at, 1);
  if (one.kind === "twice") return events.toSpliced(at, 0, event);
  if (one.kind === "swapped") return events.toSpliced(at, 2, next, event);
  return events.toSpliced(at, 0, one.text);
}

const saidIn = (pieces: readonly Piece[], kind: "text" | "thinking"): string =>
  pieces.map((one) => (one.kind === kind ? one.text : "")).join("");

describe.each(DIALECTS)("a stream for a client of %s", (dialect) => {
  test("says all of what the model said, in the grammar of its dialect", () => {
    fc.assert(
      fc.property(story, places, (told, cuts) => {
        const verdict = verdictOn(dialect, received(dialect, whole(eventsOf(told), told), cuts));
        expect(verdict).toMatchObject({ kind: "whole", breaches: [] });
        expect(verdict.told).toMatchObject({
          text: saidIn(told.pieces, "text"),
          thinking: saidIn(told.pieces, "thinking"),
          usage: { input: told.input, output: told.output },
        });
        const calls = told.pieces.flatMap((one) => (one.kind === "call" ? [one.input] : []));
        expect(verdict.told?.calls.map(({ name }) => name)).toEqual(calls.map(() => "look"));
        expect(verdict.told?.calls.map(({ json }) => parseJson(json))).toEqual(calls);
      }),
    );
  });

  test("is the same however the neuron's bytes are cut", () => {
    fc.assert(
      fc.property(story, fc.array(mishap, { maxLength: 2 }), places, (told, mishaps, cuts) => {
        const upstream = whole(mishaps.reduce(befallen, eventsOf(told)), told);
        const inPieces = received(dialect, upstream, cuts);
        const atOnce = received(dialect, upstream, []);
        expect([inPieces.text, inPieces.ending]).toEqual([atOnce.text, atOnce.ending]);
      }),
    );
  });

  test("that breaks off anywhere says so, and never looks whole", () => {
    fc.assert(
      fc.property(
        story,
        fc.nat(),
        fc.constantFrom("ended" as const, "broke" as const),
        (told, at, ending) => {
          const all = Buffer.from(eventsOf(told).slice(0, -1).join(""));
          const bytes = all.subarray(0, at % (all.length + 1));
          const verdict = verdictOn(
            dialect,
            received(dialect, { bytes, ending, promptTokens: told.input }, []),
          );
          expect(verdict.breaches).toEqual([]);
          expect(verdict.kind).not.toBe("whole");
        },
      ),
    );
  });

  test("out of events that were lost, doubled, swapped or spoiled keeps its grammar, or says an error", () => {
    fc.assert(
      fc.property(story, fc.array(mishap, { minLength: 1, maxLength: 3 }), places, (told, mishaps, cuts) => {
        const upstream = whole(mishaps.reduce(befallen, eventsOf(told)), told);
        expect(verdictOn(dialect, received(dialect, upstream, cuts)).breaches).toEqual([]);
      }),
    );
  });
});
