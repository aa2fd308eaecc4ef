import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatUsage, USAGE_HEADER } from "../../../src/protocol/headers/usage-header.ts";
import { AnswerRelay, MAX_ERROR_BYTES, type RelayAction } from "../../../src/gateway/relay/relay-answer.ts";

type Ending = "ended" | "broke";

interface Upstream {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly ending: Ending;
  readonly headSent: boolean;
  /** The neuron announces what the answer cost, and tells it where the answer ends in good order. */
  readonly tells: boolean;
}

const USAGE = { promptTokens: 5, completionTokens: 2, cachedTokens: 1, reasoningTokens: 0 };

/** Everything that is done for one answer, its bytes cut at the given places. */
function relay(
  { status, type, body, ending, headSent, tells }: Upstream,
  places: readonly number[] = [],
  machine = new AnswerRelay("n1", headSent),
): RelayAction[] {
  const trailer = tells ? { trailer: USAGE_HEADER } : {};
  machine.headReceived(status, { "content-type": type, "content-length": "7", ...trailer });
  const bytes = Buffer.from(body);
  const cuts = places.map((place) => place % (bytes.length + 1)).sort((left, right) => left - right);
  const done: RelayAction[] = [];
  const trailers = tells ? { [USAGE_HEADER]: formatUsage(USAGE) } : {};
  for (const [index, end] of [...cuts, bytes.length].entries()) {
    const chunk = bytes.subarray(index === 0 ? 0 : cuts[index - 1], end);
    if (chunk.length > 0) done.push(...machine.bytesReceived(chunk));
  }
  done.push(
    ...(ending === "ended" ? machine.answerEnded(trailers) : machine.connectionBroke("UND_ERR_SOCKET")),
  );
  return done;
}

/** The actions with their bytes in one piece, wherever the chunks were cut. */
function inOnePiece(actions: readonly RelayAction[]): { text: string; others: unknown[] } {
  const bytes = actions.flatMap((action) => (action.kind === "write-bytes" ? [action.bytes] : []));
  const others = actions.filter(({ kind }) => kind !== "write-bytes").map(comparable);
  return { text: Buffer.concat(bytes).toString(), others };
}

function comparable(action: RelayAction): unknown {
  return action.kind === "fail-answer" ? [action.kind, action.error.code, action.error.message] : action;
}

const delta = (text: string): string => JSON.stringify({ choices: [{ delta: { content: text } }] });
const ERROR = `{"error":{"message":"the worker died","type":"api_error","code":"worker_crashed"}}`;
const NUMERIC = `{"error":{"message":"busy","type":"Overloaded","code":503}}`;
const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const events = fc
  .tuple(fc.array(fc.string({ unit: "grapheme", maxLength: 8 }), { maxLength: 5 }), lineEnd)
  .map(([texts, end]) => texts.map((text) => `data: ${delta(text)}${end}${end}`).join(""));
const last = fc.constantFrom(
  "",
  "data: [DONE]\n\n",
  "data: [DONE]",
  "data: [DONE]\r\n\r\n",
  'data: {"cho',
  `data: ${ERROR}\n\n`,
  `data: ${ERROR}`,
  `data: ${NUMERIC}\r\r`,
  `data: ${ERROR}\n\ndata: [DONE]\n\n`,
  `data: [DONE]\n\ndata: ${delta("after the end")}\n\n`,
  `event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n`,
);

const stream: fc.Arbitrary<Upstream> = fc.record({
  status: fc.constant(200),
  type: fc.constant("text/event-stream; charset=utf-8"),
  body: fc.tuple(events, last).map(([begun, end]) => begun + end),
  ending: fc.constantFrom<Ending>("ended", "broke"),
  headSent: fc.boolean(),
  tells: fc.boolean(),
});
const plain: fc.Arbitrary<Upstream> = fc.record({
  status: fc.constantFrom(200, 201, 302, 400, 404, 500, 502, 503),
  type: fc.constantFrom("application/json", "text/html"),
  body: fc.constantFrom(
    "",
    "{}",
    ERROR,
    NUMERIC,
    "<html>nginx</html>",
    "x".repeat(MAX_ERROR_BYTES),
    "x".repeat(MAX_ERROR_BYTES + 1),
  ),
  ending: fc.constantFrom<Ending>("ended", "broke"),
  headSent: fc.boolean(),
  tells: fc.boolean(),
});
const upstream = fc.oneof(stream, plain);
const places = fc.array(fc.nat(), { maxLength: 12 });

/** A terminator, and before it no error. */
const WHOLE = /^(?:(?!data: \{"error|event: error)[^])*?data: \[DONE\](?:\s|$)/;

const resultOf = (actions: readonly RelayAction[]) => {
  const conclusions = actions.flatMap((action) => (action.kind === "conclude" ? [action.result] : []));
  expect(conclusions).toHaveLength(1);
  return conclusions[0];
};

describe("laws", () => {
  test("what a neuron tells of the cost is known, and nothing of it reaches the client", () => {
    fc.assert(
      fc.property(stream, places, (answer, cuts) => {
        const machine = new AnswerRelay("n1", answer.headSent);
        const told = { ...answer, tells: true };
        const actions = relay(told, cuts, machine);
        const result = resultOf(actions);
        expect(inOnePiece(actions).text).toBe(inOnePiece(relay({ ...answer, tells: false }, cuts)).text);
        const isKnown = result?.kind === "completed" && answer.ending === "ended";
        expect(isKnown ? machine.cost.usage : USAGE).toEqual(USAGE);
        expect(machine.usageOverdue()).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("a usage that is announced and does not come holds up nobody for long", () => {
    const machine = new AnswerRelay("n1", false);
    machine.headReceived(200, { "content-type": "text/event-stream", trailer: USAGE_HEADER });
    const actions = machine.bytesReceived(Buffer.from(`data: ${delta("a")}\n\ndata: [DONE]\n\n`));
    expect(actions.map(({ kind }) => kind)).toEqual([
      "send-head",
      "note-first-content",
      "write-bytes",
      "end-answer",
      "await-usage",
    ]);
    expect(machine.usageOverdue().map(({ kind }) => kind)).toEqual(["conclude", "abort-upstream"]);
    expect(machine.cost.eventsPassed).toBe(2);
  });

  test("however a stream is cut into chunks, the client gets the same", () => {
    fc.assert(
      fc.property(stream, places, (answer, cuts) => {
        expect(inOnePiece(relay(answer, cuts))).toEqual(inOnePiece(relay(answer)));
      }),
      { numRuns: 1000 },
    );
  });

  test("the same of an answer that is no stream", () => {
    fc.assert(
      fc.property(plain, places, (answer, cuts) => {
        expect(inOnePiece(relay(answer, cuts))).toEqual(inOnePiece(relay(answer)));
      }),
      { numRuns: 500 },
    );
  });

  test("comments before an answer change nothing about the answer", () => {
    const comments = fc.array(fc.constantFrom(": loading\n\n", ":\n\n", ": a\n: b\n\n"), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(stream, comments, places, (answer, before, cuts) => {
        const result = resultOf(relay({ ...answer, body: before.join("") + answer.body }, cuts));
        expect(result?.kind).toBe(resultOf(relay(answer))?.kind);
      }),
      { numRuns: 500 },
    );
  });

  test("it concludes once, and does nothing afterwards, whatever still comes", () => {
    fc.assert(
      fc.property(upstream, places, fc.nat({ max: 12 }), (answer, cuts, stopAt) => {
        const machine = new AnswerRelay("n1", answer.headSent);
        machine.headReceived(answer.status, { "content-type": answer.type });
        const text = answer.body;
        const done = [
          ...machine.bytesReceived(Buffer.from(text.slice(0, stopAt))),
          ...machine.requestStopped(),
        ];
        resultOf(done);
        expect(machine.bytesReceived(Buffer.from(text))).toEqual([]);
        expect(machine.answerEnded()).toEqual([]);
        expect(machine.connectionBroke("ECONNRESET")).toEqual([]);
        const whole = relay(answer, cuts);
        resultOf(whole);
        const after = whole.slice(whole.findIndex(({ kind }) => kind === "conclude") + 1);
        expect(after.filter(({ kind }) => kind !== "abort-upstream")).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("only what ended in good order looks complete; a stream needs its terminator, too", () => {
    fc.assert(
      fc.property(upstream, places, (answer, cuts) => {
        const done = relay(answer, cuts);
        const isStream = answer.type.startsWith("text/event-stream");
        const hasEnd = answer.ending === "ended" || /\[DONE\](?:\n\n|\r\n\r\n)/.test(answer.body);
        const whole = hasEnd && (!isStream || WHOLE.test(answer.body));
        const ended = done.some(({ kind }) => kind === "end-answer");
        expect(ended).toBe(resultOf(done)?.kind === "completed");
        expect(ended && !whole).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test("what is told of a failure before the first byte reaches nobody: it may be sent elsewhere", () => {
    fc.assert(
      fc.property(upstream, places, (answer, cuts) => {
        const done = relay(answer, cuts);
        const kind = resultOf(done)?.kind;
        const mayGoElsewhere = kind === "failed-before-answer" || kind === "answered-error";
        const seen = done.filter((action) => action.kind !== "conclude" && action.kind !== "abort-upstream");
        expect(mayGoElsewhere ? seen : []).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

const kinds = (answer: Upstream, cuts: readonly number[] = []) => relay(answer, cuts).map(({ kind }) => kind);

describe("by hand", () => {
  const STREAM = {
    status: 200,
    type: "text/event-stream",
    ending: "ended",
    headSent: false,
    tells: false,
  } as const;
  test("the first content is noted once, before its bytes", () => {
    const body = `data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: ${delta("a")}\n\ndata: ${delta("b")}\n\ndata: [DONE]\n\n`;
    const first = body.indexOf("\n\n") + 2;
    const second = body.indexOf("\n\n", first) + 2;
    expect(kinds({ ...STREAM, body }, [first, second])).toEqual([
      "send-head",
      "write-bytes",
      "note-first-content",
      "write-bytes",
      "write-bytes",
      "end-answer",
      "conclude",
    ]);
  });

  test.each([
    { what: "with its blank line", body: `data: ${ERROR}\n\n` },
    { what: "without", body: `data: ${ERROR}` },
    { what: "after a comment", body: `: prefill\n\ndata: ${ERROR}\n\n` },
    { what: "and then the terminator", body: `data: ${ERROR}\n\ndata: [DONE]\n\n` },
  ])("a stream that begins with an error is that error, with its status: $what", ({ body }) => {
    const done = relay({ ...STREAM, body });
    expect(done.map(({ kind }) => kind)).toEqual(["conclude", "abort-upstream"]);
    expect(resultOf(done)).toMatchObject({
      answer: { status: 502, envelope: { error: { code: "worker_crashed" } } },
    });
  });

  test("an error under way is the last that the client hears, in whichever batch it comes", () => {
    const begun = `data: ${delta("a")}\n\n`;
    const own = `data: ${ERROR}\n\n`;
    const after = `data: ${delta("b")}\n\ndata: [DONE]\n\n`;
    for (const cuts of [[], [begun.length], [begun.length, begun.length + own.length]]) {
      const done = relay({ ...STREAM, body: begun + own + after }, cuts);
      expect(inOnePiece(done).text).toBe(begun);
      expect(done.map(({ kind }) => kind).slice(-3)).toEqual(["pass-on-error", "conclude", "abort-upstream"]);
      expect(resultOf(done)).toEqual({ kind: "cut", code: "worker_crashed" });
    }
  });

  test("what comes after the terminator reaches nobody, and takes nothing from the answer", () => {
    const whole = `data: ${delta("a")}\n\ndata: [DONE]\n\n`;
    const done = relay({ ...STREAM, body: `${whole}data: {"usage":{}}\n\n`, ending: "broke" });
    expect(inOnePiece(done).text).toBe(whole);
    expect(resultOf(done)).toEqual({ kind: "completed" });
  });

  test("events that end in CR alone are events", () => {
    const body = `data: ${delta("a")}\r\rdata: [DONE]\r\r`;
    expect(inOnePiece(relay({ ...STREAM, body })).text).toBe(body);
    expect(resultOf(relay({ ...STREAM, body }))).toEqual({ kind: "completed" });
  });

  test.each([
    { what: "a numeric code", body: NUMERIC, code: "503", knownAs: "Overloaded" },
    { what: "no code", body: `{"error":{"message":"busy"}}`, code: null, knownAs: "api_error" },
    { what: "a bare text", body: `{"error":"busy"}`, code: null, knownAs: "api_error" },
  ])("an error of another server's, with $what, is put into our form", ({ body, code, knownAs }) => {
    const done = relay({ ...STREAM, status: 503, type: "application/json", body });
    expect(resultOf(done)).toMatchObject({
      answer: { status: 503, envelope: { error: { message: "busy", type: knownAs, code } } },
    });
  });

  test.each([
    { what: "a proxy's page", status: 502, type: "text/html", body: "<html>nginx</html>" },
    {
      what: "a page with a good status",
      status: 200,
      type: "text/html; charset=utf-8",
      body: "<html>log in</html>",
    },
    { what: "a redirect", status: 302, type: "application/json", body: ERROR },
    { what: "an error without a body", status: 503, type: "application/json", body: "" },
    {
      what: "an error that has no end",
      status: 500,
      type: "text/plain",
      body: "x".repeat(MAX_ERROR_BYTES + 1),
    },
  ])("$what is not a neuron's answer: nothing of it is kept", ({ what: _what, ...upstreamAnswer }) => {
    const done = relay({ ...STREAM, ...upstreamAnswer });
    expect(resultOf(done)).toMatchObject({ answer: { envelope: null } });
    expect(done.some(({ kind }) => kind === "write-bytes")).toBe(false);
  });

  test("a client that was promised a stream gets no plain answer", () => {
    const answer = { ...STREAM, type: "application/json", body: "{}", headSent: true, tells: false };
    expect(kinds(answer)).toEqual(["fail-answer", "conclude", "abort-upstream"]);
  });
});
