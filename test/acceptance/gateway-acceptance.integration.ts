import { describe, expect, test } from "vitest";
import { MessageStream } from "../../src/gateway/dialect/anthropic/message-stream.ts";
import { reservationTokens } from "../../src/gateway/keys/reservation-size.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, fleetWith, gatewayFor, jsonOf, post } from "../gateway/gateway-bench.ts";

const MODEL = "org/a";

test("no healthy neuron: 503 with the time to come back at, in the envelope", async () => {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
  const { url } = neuron;
  await neuron.stop();
  const gateway = await gatewayFor(fleetOf({ n1: url }, [{ id: MODEL }]));
  await expect.poll(async () => (await ask(gateway, MODEL)).status).toBe(503);
  const response = await ask(gateway, MODEL);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await jsonOf(response)).toMatchObject({
    error: {
      code: expect.stringMatching(/no_healthy_neuron|feasible_neuron_unhealthy/) as string,
      type: "api_error",
    },
  });
});

test("a copy that is being loaded anew stays in the list, and is waited for or told of", async () => {
  const neuron = await fakeNeuron({
    models: [residentModel(MODEL, { status: "loading" })],
    load: { kind: "wait" },
  });
  const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { queue_wait_secs: 1 });
  const gateway = await gatewayFor(fleet);
  const list = await (await fetch(`${gateway.address}/v1/models`)).json();
  expect(list).toMatchObject({ data: [{ id: MODEL, loaded: false, locations: [{ status: "loading" }] }] });
  const impatient = await ask(gateway, MODEL);
  expect([impatient.status >= 500, impatient.headers.get("retry-after") !== null]).toEqual([true, true]);
  const waiting = ask(gateway, MODEL, { stream: true });
  neuron.finishLoad(MODEL);
  expect((await waiting).status).toBe(200);
});

test("a stream arrives as it is made: its first piece before its last is written", async () => {
  const neuron = await fakeNeuron({
    models: [residentModel(MODEL)],
    answer: { kind: "hold", tokens: ["first"] },
  });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
  const response = await ask(gateway, MODEL, { stream: true });
  const decoder = new TextDecoder();
  let text = "";
  let isReleased = false;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(piece, { stream: true });
    if (isReleased || !text.includes("first")) continue;
    expect(text).not.toContain("[DONE]");
    isReleased = true;
    neuron.release();
  }
  expect(isReleased).toBe(true);
  expect(text).toMatch(/data: \[DONE\]\s*$/);
});

const chunk = (delta: object, reason: string | null) => ({
  id: "c",
  object: "chat.completion.chunk",
  created: 1,
  model: MODEL,
  choices: [{ index: 0, delta, finish_reason: reason }],
});
const events = (...chunks: readonly object[]): string => {
  const stream = new MessageStream({ id: "msg_1", model: MODEL }, () => 3);
  return chunks.map((one) => stream.chunk(one)).join("") + stream.done();
};

test("a stream of Anthropic's: length, a missing reason, and nothing at all", () => {
  expect(events(chunk({ content: "a" }, null), chunk({}, "length"))).toContain('"stop_reason":"max_tokens"');
  const unsaid = events(chunk({ content: "a" }, null));
  expect(unsaid).toContain('"stop_reason":"end_turn"');
  expect(unsaid.match(/event: message_stop/g)).toHaveLength(1);
  const empty = events();
  expect(empty).not.toContain("content_block");
});

const SYSTEM = "  You are <b>terse</b>.\n\t{{not a template}} é 漢字 \u0000end ";
interface Surface {
  readonly path: string;
  readonly withSystem: Readonly<Record<string, unknown>>;
  readonly without: Readonly<Record<string, unknown>>;
}
const user = { role: "user", content: "hi" };
const SURFACES: readonly Surface[] = [
  {
    path: "/v1/chat/completions",
    withSystem: { messages: [{ role: "system", content: SYSTEM }, { role: "system", content: "two" }, user] },
    without: { messages: [user] },
  },
  {
    path: "/v1/messages",
    withSystem: { max_tokens: 5, system: SYSTEM, messages: [{ role: "system", content: "two" }, user] },
    without: { max_tokens: 5, messages: [user] },
  },
  {
    path: "/v1/responses",
    withSystem: { instructions: SYSTEM, input: [{ role: "system", content: "two" }, user] },
    without: { input: [user] },
  },
  {
    path: "/api/chat",
    withSystem: { messages: [{ role: "system", content: SYSTEM }, { role: "system", content: "two" }, user] },
    without: { messages: [user] },
  },
];

test.each(SURFACES)(
  "$path: system prompts cross as they are, in order, and none is made",
  async ({ path, withSystem, without }) => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
    for (const body of [withSystem, without]) {
      const sent = JSON.stringify({ model: MODEL, stream: false, ...body });
      expect((await post(gateway, path, sent)).status).toBe(200);
    }
    const asked = neuron.callsTo("POST", "/v1/chat/completions").map(({ body }) => {
      const { messages } = JSON.parse(body) as { messages: { role: string; content: string }[] };
      return messages.map(({ role, content }) => [role, content]);
    });
    expect(asked).toEqual([
      [
        ["system", SYSTEM],
        ["system", "two"],
        ["user", "hi"],
      ],
      [["user", "hi"]],
    ]);
  },
);

describe("what is reserved", () => {
  test("what is reserved: the request's own limit, else the model's, else 4096, for each answer", () => {
    const facts = { bodyBytes: 400, maxOutputTokens: null, answers: 1, modelOutputTokens: null };
    expect(reservationTokens(facts)).toBe(100 + 4096);
    expect(reservationTokens({ ...facts, modelOutputTokens: 50 })).toBe(150);
    expect(reservationTokens({ ...facts, modelOutputTokens: 50, maxOutputTokens: 7 })).toBe(107);
    expect(reservationTokens({ ...facts, maxOutputTokens: 7, answers: 3 })).toBe(121);
  });
});
