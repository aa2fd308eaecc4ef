import { describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.ts";
import type { Answer } from "../support/neuron/fake-answer.ts";
import { envelope, residentModel } from "../support/neuron/fake-neuron.ts";
import {
  advanceUntil,
  fakeNeuron,
  fleetOf,
  gatewayFor,
  jsonOf,
  post,
  received,
  watched,
} from "./gateway-bench.ts";

const MODEL = "org/a";
const USAGE = { promptTokens: 30, completionTokens: 10, cachedTokens: 8, reasoningTokens: 0 };

const bodyOf = (fields: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({ model: MODEL, max_tokens: 9, messages: [{ role: "user", content: "hi" }], ...fields });

async function benchWith(answer: Answer) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }], { "claude-x": MODEL }));
  return { neuron, gateway };
}

const namesOf = (text: string): string[] =>
  [...text.matchAll(/^event: (\w+)$/gm)].map(([, name = ""]) => name);

describe("POST /v1/messages", () => {
  test("a whole answer, and what the neuron was asked", async () => {
    const { gateway, neuron } = await benchWith({ kind: "tokens", tokens: ["Hello", " there"] });
    const response = await post(
      gateway,
      "/v1/messages?beta=true",
      bodyOf({ model: "claude-x", system: "be brief" }),
    );
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-neuron")).toBe("n1");
    expect(await response.json()).toMatchObject({
      type: "message",
      role: "assistant",
      // What was asked for, not what it stands for.
      model: "claude-x",
      content: [{ type: "text", text: "Hello there" }],
      stop_reason: "end_turn",
    });
    const [call] = neuron.calls.filter(({ path }) => path.startsWith("/v1/"));
    expect(call?.path).toBe("/v1/chat/completions");
    expect(JSON.parse(call?.body ?? "")).toEqual({
      model: MODEL,
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "hi" },
      ],
      max_tokens: 9,
    });
  });

  test("a stream: the prompt's tokens at its beginning, nothing of OpenAI in it", async () => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: ["a", "b"], usage: USAGE });
    const answer = await received(await post(gateway, "/v1/messages", bodyOf({ stream: true })));
    expect(answer.complete).toBe(true);
    expect(namesOf(answer.text)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    expect(answer.text).toContain('"input_tokens":30');
    expect(answer.text).not.toContain("[DONE]");
  });

  test.each<{ readonly what: string; readonly answer: Answer; readonly code: string }>([
    { what: "breaks off", answer: { kind: "cut", tokens: ["a"] }, code: "upstream_cut_stream" },
    {
      what: "ends without its terminator",
      answer: { kind: "unterminated", tokens: ["a"] },
      code: "upstream_cut_stream",
    },
    {
      what: "turns into something else",
      answer: {
        kind: "raw_stream",
        chunks: ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', 'data: {"cho\n\n'],
      },
      code: "upstream_connection_error",
    },
  ])("a stream that $what never looks complete", async ({ answer, code }) => {
    const { gateway } = await benchWith(answer);
    const got = await received(await post(gateway, "/v1/messages", bodyOf({ stream: true })));
    expect(got.complete).toBe(false);
    expect(namesOf(got.text).at(-1)).toBe("error");
    expect(got.text).toContain(code);
    expect(got.text).not.toContain("message_stop");
  });

  test.each<{
    readonly what: string;
    readonly send: string;
    readonly status: number;
    readonly type: string;
    readonly says: string;
  }>([
    {
      what: "no model",
      send: '{"messages":[]}',
      status: 400,
      type: "invalid_request_error",
      says: "names no model",
    },
    { what: "no JSON", send: "{", status: 400, type: "invalid_request_error", says: "not JSON" },
    {
      what: "an unknown model",
      send: bodyOf({ model: "org/none" }),
      status: 404,
      type: "not_found_error",
      says: "org/none",
    },
    {
      what: "nesting without end",
      send: bodyOf({ deep: JSON.parse("[".repeat(400) + "]".repeat(400)) as unknown }),
      status: 422,
      type: "invalid_request_error",
      says: "nested deeper",
    },
  ])("errors have Anthropic's shape: $what", async ({ send, status, type, says }) => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: [] });
    const response = await post(gateway, "/v1/messages", send);
    expect(response.status).toBe(status);
    const body = await jsonOf(response);
    expect(body).toMatchObject({ type: "error", error: { type } });
    expect(JSON.stringify(body)).toContain(says);
  });

  test("a conversation that is too long is told in the words that agents know", async () => {
    const refusal = envelope("context_length_exceeded", "This model's maximum context length is 100 tokens");
    Object.assign(refusal.error, { prompt_tokens: 120, max_prompt_tokens: 99 });
    const { gateway } = await benchWith({ kind: "status", status: 400, body: refusal });
    const body = await jsonOf(await post(gateway, "/v1/messages", bodyOf()));
    expect(body).toMatchObject({
      error: { type: "invalid_request_error", message: "prompt is too long: 120 tokens > 99 maximum" },
    });
  });

  test("other methods, and routes beside it, are refused in the dialect", async () => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: [] });
    const response = await fetch(`${gateway.address}/v1/messages`);
    expect(response.status).toBe(405);
    expect(await response.json()).toMatchObject({ type: "error", error: { type: "invalid_request_error" } });
  });

  test("pings from the first second of a cold load, and the prompt's tokens after it", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({
      load: { kind: "wait" },
      answer: { kind: "tokens", tokens: ["a"], usage: USAGE },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL, source: "a.gguf" }]), {
      clock,
    });
    const asked = post(gateway, "/v1/messages", bodyOf({ stream: true }));
    await advanceUntil(clock, watched(asked));
    const response = await asked;
    expect(response.status).toBe(200);
    neuron.finishLoad(MODEL);
    const reading = received(response);
    await advanceUntil(clock, watched(reading));
    const answer = await reading;
    expect(namesOf(answer.text)[0]).toBe("ping");
    expect(answer.text).not.toMatch(/^:/m);
    expect(answer.text).toContain('"input_tokens":30');
    expect(answer.complete).toBe(true);
  });
});

test("GET /v1/models in Anthropic's shape, where its header asks for it", async () => {
  const { gateway } = await benchWith({ kind: "tokens", tokens: [] });
  const headers = { "anthropic-version": "2023-06-01" };
  const list = await jsonOf(await fetch(`${gateway.address}/v1/models`, { headers }));
  expect(list).toMatchObject({
    data: [
      { type: "model", id: "claude-x" },
      { type: "model", id: MODEL, display_name: MODEL },
    ],
    has_more: false,
    last_id: MODEL,
  });
});
