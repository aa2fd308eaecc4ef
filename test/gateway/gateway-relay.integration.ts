import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { INFERENCE_ROUTES } from "../../src/protocol/openai/inference-routes.ts";
import { chunkEvent, residentModel, envelope } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf, metricsOf, post, received } from "./gateway-bench.ts";

const MODEL = "org/a";

async function oneNeuron(options: Parameters<typeof fakeNeuron>[0] = {}) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], ...options });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }], { "fleet/default": MODEL }));
  return { neuron, gateway };
}

describe("pass-through", () => {
  test("a whole answer comes through with the neuron's name and a request id", async () => {
    const { gateway } = await oneNeuron();
    const response = await ask(gateway, MODEL);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-cortex-neuron")).toBe("n1");
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    const body = await jsonOf(response);
    expect(body["choices"]).toMatchObject([{ message: { content: "Hello there" } }]);
  });

  test("a stream comes through byte for byte", async () => {
    const { gateway } = await oneNeuron();
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(text).toBe(`${chunkEvent(MODEL, "Hello")}${chunkEvent(MODEL, " there")}data: [DONE]\n\n`);
    expect(complete).toBe(true);
  });

  test("the official SDK reads answers, streams and errors", async () => {
    const { gateway } = await oneNeuron();
    const client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: "unused", maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "hi" }];
    const whole = await client.chat.completions.create({ model: MODEL, messages });
    expect(whole.choices[0]?.message.content).toBe("Hello there");
    let streamed = "";
    for await (const chunk of await client.chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
    })) {
      streamed += chunk.choices[0]?.delta.content ?? "";
    }
    expect(streamed).toBe("Hello there");
    const refusal = await client.chat.completions
      .create({ model: "org/b", messages })
      .catch((thrown: unknown) => thrown);
    expect(refusal).toMatchObject({ status: 404, code: "model_not_found", param: "model" });
    const listed = await client.models.retrieve(MODEL);
    expect(listed.id).toBe(MODEL);
  });

  test("the body reaches the neuron untouched, whatever is in it", async () => {
    const { neuron, gateway } = await oneNeuron();
    const body = `{ "temperature":1.0e0,\n "model" : "org\\/a", "x": {"model":"y"}, "big": 12345678901234567890 }`;
    await post(gateway, "/v1/completions", body);
    expect(neuron.callsTo("POST", "/v1/completions")[0]?.body).toBe(body);
  });

  test("every route of a model is passed on", async () => {
    const { neuron, gateway } = await oneNeuron();
    for (const path of INFERENCE_ROUTES) {
      await post(gateway, path, JSON.stringify({ model: MODEL }));
      expect(neuron.callsTo("POST", path)).toHaveLength(1);
      expect((await fetch(`${gateway.address}${path}`)).status).toBe(405);
    }
  });

  test("an alias changes the model's name and nothing else", async () => {
    const { neuron, gateway } = await oneNeuron();
    const body = `{ "n":1.0,\n "model" : "fleet\\u002fdefault" , "x": {"model":"fleet/default"} }`;
    const response = await post(gateway, "/v1/embeddings", body);
    expect((await jsonOf(response))["model"]).toBe(MODEL);
    expect(neuron.callsTo("POST", "/v1/embeddings")[0]?.body).toBe(
      `{ "n":1.0,\n "model" : "org/a" , "x": {"model":"fleet/default"} }`,
    );
  });

  test("a client's credentials stay at the gateway; its request id and trace go along", async () => {
    const { neuron, gateway } = await oneNeuron();
    const headers = {
      authorization: "Bearer client-secret",
      "x-api-key": "client-secret",
      cookie: "session=client-secret",
      "x-anything": "client-secret",
      "x-request-id": "req-7",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    const response = await ask(gateway, MODEL, { headers });
    expect(response.headers.get("x-request-id")).toBe("req-7");
    const sent = neuron.callsTo("POST", "/v1/")[0]?.headers ?? {};
    expect(JSON.stringify(sent)).not.toContain("client-secret");
    expect(sent).toMatchObject({ "x-request-id": "req-7", traceparent: headers.traceparent });
  });

  test("a neuron's error keeps its status and words", async () => {
    const body = envelope("context_length_exceeded", "the maximum is 4096 tokens");
    const { gateway } = await oneNeuron({ answer: { kind: "status", status: 400, body } });
    const response = await ask(gateway, MODEL, { stream: true });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual(body);
  });

  test("the gateway's token goes to neurons, and a wrong one is no client's fault", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    neuron.token = "right";
    const fleet = fleetOf({ n1: neuron.url }, [{ id: MODEL }]);
    const trusted = await gatewayFor(fleet, { neuronAccess: { token: "right" } });
    expect((await ask(trusted, MODEL)).status).toBe(200);
    neuron.token = "changed";
    const response = await ask(trusted, MODEL);
    expect([502, 503]).toContain(response.status);
    expect(JSON.stringify(await response.json())).not.toContain("changed");
  });
});

describe("requests that cannot be routed", () => {
  test.each([
    { what: "not JSON", body: "{", status: 400, code: "malformed_json" },
    { what: "nothing", body: "", status: 400, code: "malformed_json" },
    { what: "no object", body: "[]", status: 422, code: "invalid_request_body" },
    { what: "no model", body: "{}", status: 400, code: "missing_model_field" },
    { what: "a model that is no name", body: `{"model":7}`, status: 422, code: "invalid_request_body" },
    { what: "an unknown model", body: `{"model":"org/b"}`, status: 404, code: "model_not_found" },
  ])("$what", async ({ body, status, code }) => {
    const { neuron, gateway } = await oneNeuron();
    const response = await post(gateway, "/v1/chat/completions", body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect(response.headers.get("x-request-id")).not.toBeNull();
    expect(neuron.callsTo("POST", "/v1/")).toHaveLength(0);
  });

  test.each(["text/plain", "application/x-www-form-urlencoded"])(
    "%s, which a web page may send to any port",
    async (type) => {
      const { gateway } = await oneNeuron();
      const init = { method: "POST", headers: { "content-type": type }, body: `{"model":"${MODEL}"}` };
      const response = await fetch(`${gateway.address}/v1/chat/completions`, init);
      expect(response.status).toBe(415);
      expect(await response.json()).toMatchObject({ error: { code: "unsupported_media_type" } });
    },
  );

  test("a misspelt model gets a hint", async () => {
    const { gateway } = await oneNeuron();
    const body = await jsonOf(await ask(gateway, "fleet/defualt"));
    expect(JSON.stringify(body["error"])).toContain(`did you mean \\"fleet/default\\"?`);
  });

  test("a wrong method names the right one", async () => {
    const { gateway } = await oneNeuron();
    const response = await fetch(`${gateway.address}/v1/chat/completions`);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  });
});

describe("answers that break off", () => {
  test("a cut stream ends in an explicit error and never in [DONE]", async () => {
    const partial = `data: {"choices":[{"delta":{"con`;
    const { gateway } = await oneNeuron({ answer: { kind: "cut", tokens: ["Hel"], partial } });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(complete).toBe(false);
    expect(text).not.toContain("[DONE]");
    const events = text.split("\n\n").filter((event) => event.startsWith("data: "));
    expect(events).toHaveLength(2);
    const last = JSON.parse(events[1]?.slice("data: ".length) ?? "") as unknown;
    expect(last).toMatchObject({ error: { code: "upstream_cut_stream" } });
    expect(await metricsOf(gateway)).toContain(`cortex_streams_cut_total{model="org/a",node="n1"} 1`);
  });

  test("a stream that ends in good order but without its terminator is cut too", async () => {
    const { gateway } = await oneNeuron({ answer: { kind: "unterminated", tokens: ["Hel"] } });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(complete).toBe(false);
    expect(text).toContain("upstream_cut_stream");
  });

  test("an error event of the neuron's own is not followed by a second one", async () => {
    const own = `data: ${JSON.stringify(envelope("worker_crashed", "the worker died"))}\n\n`;
    const { gateway } = await oneNeuron({
      answer: { kind: "raw_stream", chunks: [chunkEvent(MODEL, "Hel"), own] },
    });
    const { text, complete } = await received(await ask(gateway, MODEL, { stream: true }));
    expect(complete).toBe(false);
    expect(text).toBe(chunkEvent(MODEL, "Hel") + own);
  });

  test("the SDK throws on a cut stream", async () => {
    const { gateway } = await oneNeuron({ answer: { kind: "cut", tokens: ["Hel"] } });
    const client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: "unused", maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: "user", content: "hi" }],
      stream: true,
    });
    const reading = (async () => {
      for await (const chunk of stream) expect(chunk.object).toBe("chat.completion.chunk");
    })();
    await expect(reading).rejects.toThrow(/broke off the stream/);
  });

  test("a cut body is no whole body", async () => {
    const { gateway } = await oneNeuron({ answer: { kind: "cut_body" } });
    const { complete } = await received(await ask(gateway, MODEL));
    expect(complete).toBe(false);
  });
});

describe("clients that leave", () => {
  test.each([
    ["streaming, after the first token", true, { kind: "hold", tokens: ["Hel"] } as const],
    ["streaming, before the first token", true, { kind: "hang" } as const],
    ["not streaming", false, { kind: "hang" } as const],
  ])("%s: the neuron sees the close at once", async (_when, stream, answer) => {
    const { neuron, gateway } = await oneNeuron({ answer });
    const leave = new AbortController();
    const asked = ask(gateway, MODEL, { stream, signal: leave.signal }).then(received, () => undefined);
    await neuron.until((fake) => fake.callsTo("POST", "/v1/").length === 1);
    leave.abort();
    await neuron.until((fake) => fake.abandoned === 1);
    await asked;
    await expect
      .poll(() => metricsOf(gateway))
      .toContain(`cortex_client_disconnects_total{model="org/a",phase="relaying"} 1`);
  });
});

describe("backpressure", () => {
  test("a client that does not read stops its neuron, and nobody else", async () => {
    const events = 1000;
    const { neuron, gateway } = await oneNeuron({ answer: { kind: "flood", events } });
    const response = await ask(gateway, MODEL, { stream: true });
    // The flood has stopped when it no longer grows while other requests come and go.
    let before = -1;
    while (before !== neuron.flooded) {
      before = neuron.flooded;
      for (let others = 0; others < 50; others += 1) await fetch(`${gateway.address}/version`);
    }
    expect(neuron.flooded).toBeLessThan(events / 2);
    const { text, complete } = await received(response);
    expect(complete).toBe(true);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(neuron.flooded).toBe(events);
  });

  test("a client that reads late gets every byte in order", async () => {
    const chunks = Array.from({ length: 2000 }, (_, index) =>
      chunkEvent(MODEL, `${index}-${"x".repeat(2000)}`),
    );
    const whole = `${chunks.join("")}data: [DONE]\n\n`;
    const { gateway } = await oneNeuron({ answer: { kind: "raw_stream", chunks: [whole] } });
    const response = await ask(gateway, MODEL, { stream: true });
    const { text, complete } = await received(response);
    expect(complete).toBe(true);
    expect(text === whole).toBe(true);
  });
});
