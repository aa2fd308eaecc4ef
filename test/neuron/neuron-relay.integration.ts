import { request as httpRequest, type IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { writeFakeModel, type FakeChat, type FakeModel } from "../support/neuron/fake-worker-model.ts";
import {
  readToTheEnd,
  startTestNeuron,
  type TestNeuron,
  type WireError,
} from "../support/neuron/neuron-under-test.ts";
import type { Health } from "../../src/protocol/neuron-api.ts";

async function loaded(neuron: TestNeuron, spec: Record<string, unknown> = {}): Promise<FakeModel> {
  const model = writeFakeModel(neuron.store, "alpha");
  expect((await neuron.load({ model_id: "alpha", ...spec })).status).toBe(200);
  return model;
}

const inFlight = async (neuron: TestNeuron): Promise<number | undefined> =>
  (await neuron.call<Health>("/health")).body.models[0]?.in_flight;

const chat = (neuron: TestNeuron, fake: FakeChat) => neuron.chat({ model: "alpha", fake, stream: true });

describe("passing through", () => {
  test("the body arrives byte for byte, credentials and hop-by-hop headers do not", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const text = '{ "model":"alpha",  "fake":"echo", "odd": 1e400, "ü": "\\u00fc" }';
    const answer = await fetch(`${neuron.base}/v1/embeddings?x=1`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: "Bearer secret-of-the-client",
        cookie: "a=b",
        "x-request-id": "r-1",
      },
      body: text,
    });
    const echo = (await answer.json()) as { path: string; body: string; headers: Record<string, string> };
    expect(echo).toMatchObject({ path: "/v1/embeddings?x=1", body: text });
    expect(echo.headers).toMatchObject({ "content-type": "application/json", "x-request-id": "r-1" });
    expect(JSON.stringify(echo.headers)).not.toMatch(/secret|cookie/);
    expect(answer.headers.get("x-worker")).toBe("fake");
    expect(answer.headers.get("keep-alive")).not.toBe("timeout=5");
  });

  test("an event stream arrives as it is, and a refusal of the worker with its status and headers", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const stream = await neuron.chat({ model: "alpha", fake: "stream" });
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    const { text, broken } = await readToTheEnd(stream);
    expect(text.match(/data: /g)).toHaveLength(4);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(broken).toBe(false);
    const refused = await neuron.chat({ model: "alpha", fake: "refuse" });
    expect(refused.status).toBe(400);
    expect(refused.headers.get("retry-after")).toBe("7");
    expect(((await refused.json()) as WireError).error.code).toBe("unsupported_parameter");
  });

  test.each([
    { name: "a model that is not loaded", body: '{"model":"other"}', status: 404, code: "model_not_found" },
    { name: "no model", body: '{"messages":[]}', status: 400, code: "missing_model_field" },
    { name: "an empty model", body: '{"model":""}', status: 400, code: "missing_model_field" },
    { name: "no JSON", body: '{"model":', status: 400, code: "malformed_json" },
    { name: "no object", body: "[1]", status: 400, code: "missing_model_field" },
    { name: "no body", body: "", status: 400, code: "missing_model_field" },
  ])("$name is refused as $code and never loads anything", async ({ body, status, code }) => {
    await using neuron = await startTestNeuron();
    const answer = await fetch(`${neuron.base}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as WireError).error.code).toBe(code);
    expect((await neuron.models()).models).toEqual([]);
  });

  test("beyond slots and queue a request is refused with a time to come back", async () => {
    await using neuron = await startTestNeuron();
    const model = await loaded(neuron, { parallel: 1 });
    const leave = new AbortController();
    const held = Array.from({ length: 9 }, () =>
      neuron.chat({ model: "alpha", fake: "silent" }, leave.signal).catch(() => undefined),
    );
    await eventually(() => {
      expect(model.events().filter((event) => event === "request silent").length).toBeGreaterThan(0);
    });
    await eventually(async () => {
      const { body } = await neuron.call<Health>("/health");
      expect(body.models[0]).toMatchObject({ in_flight: 1, queue_depth: 8 });
    });
    const refused = await neuron.chat({ model: "alpha" });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("16");
    expect(((await refused.json()) as WireError).error.code).toBe("queue_full");
    leave.abort();
    await Promise.all(held);
    await eventually(async () => {
      const { body } = await neuron.call<Health>("/health");
      expect(body.models[0]).toMatchObject({ in_flight: 0, queue_depth: 0, rejected_queue_full: 1 });
    });
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
  });
});

describe("a client that leaves", () => {
  test.each(["silent", "silent-stream", "endless"] as const)(
    "aborts the worker's work at once (%s)",
    async (fake) => {
      await using neuron = await startTestNeuron();
      const model = await loaded(neuron);
      const leave = new AbortController();
      const answer = neuron.chat({ model: "alpha", fake }, leave.signal).then(
        ({ status }) => status,
        () => 0,
      );
      await eventually(() => {
        expect(model.events()).toContain(`request ${fake}`);
      });
      expect(await inFlight(neuron)).toBe(1);
      if (fake !== "silent") await answer;
      leave.abort();
      await eventually(() => {
        expect(model.events()).toContain("client-gone");
      });
      await eventually(async () => {
        expect(await inFlight(neuron)).toBe(0);
      });
      expect(await answer).toBe(fake === "silent" ? 0 : 200);
      const { body } = await neuron.call<string>("/metrics");
      expect(body).toContain('cortex_neuron_requests_total{model="alpha",outcome="client_gone"} 1');
    },
  );

  test("a client that does not read holds the worker back instead of filling memory", async () => {
    await using neuron = await startTestNeuron();
    const model = await loaded(neuron);
    const call = httpRequest(`${neuron.base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    call.end(JSON.stringify({ model: "alpha", fake: "endless" }));
    const response = await new Promise<IncomingMessage>((resolve) => {
      call.once("response", resolve);
    });
    response.pause();
    // Every hop is full once the worker is held and stays held; other requests are answered all the while.
    await eventually(async () => {
      const held = model.events().filter((event) => event !== "request echo");
      expect(held.at(-1)).toBe("held-back");
      for (let turn = 0; turn < 10; turn += 1)
        expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
      expect(model.events().filter((event) => event !== "request echo")).toHaveLength(held.length);
    });
    call.on("error", () => undefined);
    response.on("error", () => undefined);
    call.destroy();
    await eventually(() => {
      expect(model.events()).toContain("client-gone");
    });
  });
});

describe("a worker that dies", () => {
  test("before its first byte is an error with its last words", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const answer = await chat(neuron, "crash-before");
    expect(answer.status).toBe(502);
    expect(((await answer.json()) as WireError).error).toMatchObject({
      code: "worker_crashed",
      signal: "SIGKILL",
      last_log_lines: ["segfault soon"],
    });
  });

  test("in a stream leaves an error event and a broken connection", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const { text, broken } = await readToTheEnd(await chat(neuron, "crash-mid-stream"));
    expect(broken).toBe(true);
    const events = text.split("\n\n").filter((event) => event !== "");
    expect(events).toHaveLength(2);
    expect(events[0]).toContain('"one"');
    expect(JSON.parse((events[1] ?? "").replace("data: ", ""))).toMatchObject({
      error: { code: "request_ended_worker", signal: "SIGSEGV" },
    });
  });

  test("in the middle of an event leaves the error event apart from the half one", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const { text, broken } = await readToTheEnd(await chat(neuron, "crash-mid-event"));
    expect(broken).toBe(true);
    const events = text.split("\n\n").filter((event) => event !== "");
    expect(events[1]).toBe('data: {"cho');
    expect(events[2]).toContain('"code":"worker_crashed"');
  });

  test("in a JSON body breaks the connection", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const { text, broken } = await readToTheEnd(await chat(neuron, "crash-mid-json"));
    expect(text).toBe('{"half":');
    expect(broken).toBe(true);
  });

  test("takes its residency with it and frees its memory; the model comes back", async () => {
    await using neuron = await startTestNeuron();
    await loaded(neuron);
    const before = await neuron.models();
    const pid = before.models[0]?.pid ?? -1;
    process.kill(pid, "SIGKILL");
    await eventually(async () => {
      const { generation, models } = await neuron.models();
      expect(generation).toBeGreaterThan(before.generation);
      expect(models[0]).toMatchObject({ status: "loaded" });
      expect(models[0]?.pid).not.toBe(pid);
    });
    const { body } = await neuron.call<Health>("/health");
    expect(body.devices[0]?.vram_used_mb).toBe(64);
    expect((await neuron.call<string>("/metrics")).body).toContain(
      'cortex_neuron_worker_crashes_total{model="alpha"} 1',
    );
    expect((await neuron.load({ model_id: "alpha" })).status).toBe(200);
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
    expect(isAlive(pid)).toBe(false);
  });
});
