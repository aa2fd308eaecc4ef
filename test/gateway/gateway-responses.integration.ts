import OpenAI from "openai";
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
  JSON.stringify({ model: MODEL, input: "hi", ...fields });

async function benchWith(answer: Answer) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }], { "gpt-x": MODEL }));
  return { neuron, gateway };
}

/** A neuron whose model is loaded only when it is told to, and a clock that moves only when it is told to. */
async function coldBench() {
  const clock = new ManualClock();
  const neuron = await fakeNeuron({ load: { kind: "wait" }, answer: { kind: "tokens", tokens: ["a"] } });
  const fleet = fleetOf({ n1: neuron.url }, [{ id: MODEL, source: "a.gguf" }]);
  return { clock, neuron, gateway: await gatewayFor(fleet, { clock }) };
}

const namesOf = (text: string): string[] =>
  [...text.matchAll(/^event: ([\w.]+)$/gm)].map(([, name = ""]) => name);

const sequenceOf = (text: string): number[] =>
  [...text.matchAll(/"sequence_number":(\d+)/g)].map(([, number]) => Number(number));

describe("POST /v1/responses", () => {
  test("a turn goes on from the last, but from no long one: what was said in that is not kept", async () => {
    const { gateway, neuron } = await benchWith({ kind: "tokens", tokens: ["Hello"] });
    const first = await jsonOf(await post(gateway, "/v1/responses", bodyOf({ input: "one" })));
    expect(first).toMatchObject({ store: true });
    const previous = { previous_response_id: first["id"] };
    const second = await post(gateway, "/v1/responses", bodyOf({ input: "two", ...previous }));
    expect(await jsonOf(second)).toMatchObject(previous);
    const calls = neuron.calls.filter(({ path }) => path.startsWith("/v1/"));
    const asked = JSON.parse(calls.at(-1)?.body ?? "") as { readonly messages: unknown };
    expect(asked.messages).toMatchObject([
      { role: "user", content: "one" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "two" },
    ]);
    const long = await jsonOf(await post(gateway, "/v1/responses", bodyOf({ input: "x".repeat(200_000) })));
    expect(long).toMatchObject({ store: false });
    const lost = await post(gateway, "/v1/responses", bodyOf({ previous_response_id: long["id"] }));
    expect(await jsonOf(lost)).toMatchObject({ error: { code: "previous_response_not_found" } });
  });

  test("a whole answer, and what the neuron was asked", async () => {
    const { gateway, neuron } = await benchWith({ kind: "tokens", tokens: ["Hello", " there"] });
    const asked = bodyOf({ model: "gpt-x", instructions: "be brief", max_output_tokens: 9 });
    const response = await post(gateway, "/v1/responses", asked);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-neuron")).toBe("n1");
    expect(await response.json()).toMatchObject({
      object: "response",
      status: "completed",
      // What was asked for, not what it stands for.
      model: "gpt-x",
      output: [
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello there" }] },
      ],
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

  test("a stream: the whole lifecycle, nothing of chat in it", async () => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: ["a", "b"], usage: USAGE });
    const answer = await received(await post(gateway, "/v1/responses", bodyOf({ stream: true })));
    expect(answer.complete).toBe(true);
    expect(namesOf(answer.text)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(answer.text).not.toContain("chat.completion");
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
    const got = await received(await post(gateway, "/v1/responses", bodyOf({ stream: true })));
    expect(got.complete).toBe(false);
    expect(namesOf(got.text).slice(-2)).toEqual(["error", "response.failed"]);
    expect(got.text).toContain(code);
    expect(got.text).not.toContain("response.completed");
    const client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: "none", maxRetries: 0 });
    await expect(
      client.responses.stream({ model: MODEL, input: "hi" }).finalResponse(),
    ).rejects.toMatchObject({
      code,
    });
  });

  test.each<{
    readonly what: string;
    readonly send: string;
    readonly status: number;
    readonly error: Readonly<Record<string, unknown>>;
  }>([
    {
      what: "no model",
      send: '{"input":"hi"}',
      status: 400,
      error: { type: "invalid_request_error", code: "missing_model_field", param: "model" },
    },
    {
      what: "a field of the wrong kind, which agents would repeat as a 422",
      send: bodyOf({ input: 5 }),
      status: 400,
      error: { code: "invalid_request_body", param: "input" },
    },
    { what: "no JSON", send: "{", status: 400, error: { code: "malformed_json" } },
    {
      what: "an unknown model",
      send: bodyOf({ model: "org/none" }),
      status: 404,
      error: { type: "invalid_request_error", code: "model_not_found", param: "model" },
    },
    {
      what: "a response that nobody got",
      send: bodyOf({ previous_response_id: "resp_1" }),
      status: 400,
      error: { code: "previous_response_not_found", param: "previous_response_id" },
    },
  ])("errors are OpenAI's: $what", async ({ send, status, error }) => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: [] });
    const response = await post(gateway, "/v1/responses", send);
    expect(response.status).toBe(status);
    expect(await jsonOf(response)).toMatchObject({ error });
  });

  test.each([
    {
      code: "context_length_exceeded",
      status: 400,
      said: "This model's maximum context length is 100 tokens",
    },
    { code: "template_render_failed", status: 422, said: "the model's chat template failed" },
  ])("a neuron's refusal comes in its own words: $code", async ({ code, status, said }) => {
    const { gateway } = await benchWith({ kind: "status", status, body: envelope(code, said) });
    const response = await post(gateway, "/v1/responses", bodyOf({ stream: true }));
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({ error: { code, message: said } });
  });

  test("a cold load: events that clients take for a sign of life, in one sequence with the answer", async () => {
    const { clock, neuron, gateway } = await coldBench();
    const asked = post(gateway, "/v1/responses", bodyOf({ stream: true }));
    await advanceUntil(clock, watched(asked));
    const response = await asked;
    expect(response.status).toBe(200);
    neuron.finishLoad(MODEL);
    const reading = received(response);
    await advanceUntil(clock, watched(reading));
    const answer = await reading;
    const names = namesOf(answer.text);
    expect(names.slice(0, 2)).toEqual(["response.created", "response.in_progress"]);
    expect(names.filter((name) => name === "response.created")).toHaveLength(1);
    expect(names.at(-1)).toBe("response.completed");
    expect(sequenceOf(answer.text)).toEqual(names.map((_, index) => index));
    expect(answer.text).not.toMatch(/^:/m);
    expect(answer.complete).toBe(true);
  });

  test("a cold load that fails ends in the dialect's error", async () => {
    const { clock, neuron, gateway } = await coldBench();
    const asked = post(gateway, "/v1/responses", bodyOf({ stream: true }));
    await advanceUntil(clock, watched(asked));
    neuron.finishLoad(MODEL, { code: "model_file_invalid", message: "not a GGUF" });
    const reading = received(await asked);
    await advanceUntil(clock, watched(reading));
    const answer = await reading;
    expect(answer.complete).toBe(false);
    expect(namesOf(answer.text).slice(-2)).toEqual(["error", "response.failed"]);
    expect(answer.text).toContain('"code":"model_file_invalid"');
  });
});
