import { describe, expect, test } from "vitest";
import { ManualClock } from "../../support/manual-clock.ts";
import { eventually } from "../../support/eventually.ts";
import type { Answer } from "../../support/neuron/fake-answer.ts";
import { envelope, residentModel } from "../../support/neuron/fake-neuron.ts";
import {
  advanceUntil,
  fakeNeuron,
  fleetOf,
  gatewayFor,
  jsonOf,
  post,
  received,
  watched,
} from "../gateway-bench.ts";

const MODEL = "org/a";
const USAGE = { promptTokens: 30, completionTokens: 10, cachedTokens: 8, reasoningTokens: 0 };

const bodyOf = (fields: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hi" }], ...fields });

async function benchWith(answer: Answer = { kind: "tokens", tokens: [] }) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }], { short: MODEL }));
  return { neuron, gateway };
}

const TEXT: unknown = expect.any(String);
const DIGEST: unknown = expect.stringMatching(/^[0-9a-f]{64}$/);
const VERSION: unknown = expect.stringMatching(/^\d+\.\d+\.\d+$/);
const saying = (text: string): unknown => expect.stringContaining(text);

interface Line {
  readonly done?: boolean;
  readonly error?: string;
  readonly message?: { readonly content: string };
}

const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("POST /api/chat", () => {
  test("a whole answer, and what the neuron was asked", async () => {
    const { gateway, neuron } = await benchWith({ kind: "tokens", tokens: ["Hello", " there"] });
    const response = await post(gateway, "/api/chat", bodyOf({ model: "short:latest", stream: false }));
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      // What was asked for, not what it stands for.
      model: "short:latest",
      message: { role: "assistant", content: "Hello there" },
      done: true,
      done_reason: "stop",
    });
    const [call] = neuron.calls.filter(({ path }) => path.startsWith("/v1/"));
    expect(call?.path).toBe("/v1/chat/completions");
    expect(JSON.parse(call?.body ?? "")).toEqual({
      model: MODEL,
      messages: [{ role: "user", content: "hi" }],
    });
  });

  test("a stream without being asked for one: lines, the last of which is the end", async () => {
    const { gateway } = await benchWith({ kind: "tokens", tokens: ["a", "b"], usage: USAGE });
    const response = await post(gateway, "/api/chat", bodyOf());
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const answer = await received(response);
    expect(answer.complete).toBe(true);
    const lines = linesOf(answer.text);
    expect(lines.map(({ message }) => message?.content)).toEqual(["a", "b", ""]);
    expect(lines.map(({ done }) => done)).toEqual([false, false, true]);
    expect(lines.at(-1)).toMatchObject({ prompt_eval_count: 30 });
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
    const got = await received(await post(gateway, "/api/chat", bodyOf()));
    expect(got.complete).toBe(false);
    const lines = linesOf(got.text);
    expect(lines.at(-1)).toMatchObject({ error: TEXT, code });
    expect(lines.filter(({ done }) => done === true)).toEqual([]);
  });

  test.each<{
    readonly what: string;
    readonly send: string;
    readonly status: number;
    readonly says: string;
  }>([
    { what: "no model", send: '{"messages":[]}', status: 400, says: "names no model" },
    { what: "no JSON", send: "{", status: 400, says: "not JSON" },
    { what: "an unknown model", send: bodyOf({ model: "org/none" }), status: 404, says: "org/none" },
  ])("errors are a text: $what", async ({ send, status, says }) => {
    const { gateway } = await benchWith();
    const response = await post(gateway, "/api/chat", send);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: saying(says) });
  });

  test("what a model refuses is said in the dialect", async () => {
    const body = envelope("vision_unsupported", "this model sees no images");
    const { gateway } = await benchWith({ kind: "status", status: 400, body });
    const response = await post(gateway, "/api/chat", bodyOf());
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: "this model sees no images",
      code: "vision_unsupported",
    });
  });

  test("empty lines of content while a model loads, none of them blank", async () => {
    const clock = new ManualClock();
    const neuron = await fakeNeuron({
      load: { kind: "wait" },
      answer: { kind: "tokens", tokens: ["a"], usage: USAGE },
    });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL, source: "a.gguf" }]), {
      clock,
    });
    const asked = post(gateway, "/api/chat", bodyOf());
    await advanceUntil(clock, watched(asked));
    const response = await asked;
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    neuron.finishLoad(MODEL);
    const reading = received(response);
    await advanceUntil(clock, watched(reading));
    const answer = await reading;
    const [first, ...others] = linesOf(answer.text);
    expect(first).toMatchObject({ message: { role: "assistant", content: "" }, done: false });
    expect(others.at(-1)).toMatchObject({ done: true, prompt_eval_count: 30 });
    expect((others.at(-1) as { load_duration: number }).load_duration).toBeGreaterThan(0);
    expect(answer.complete).toBe(true);
  });
});

const get = async (address: string, path: string) => jsonOf(await fetch(`${address}${path}`));

describe("what clients ask about models", () => {
  test("the list, what is loaded, and a version", async () => {
    const { gateway } = await benchWith();
    expect(await get(gateway.address, "/api/tags")).toMatchObject({
      models: [{ name: MODEL, model: MODEL, digest: DIGEST }, { name: "short" }],
    });
    expect(await get(gateway.address, "/api/ps")).toMatchObject({
      models: [{ name: MODEL, size_vram: 1000 * 1024 * 1024, context_length: 4096, node: "n1" }],
    });
    expect(await get(gateway.address, "/api/version")).toMatchObject({
      version: VERSION,
    });
  });

  test("a model, by either name and by its older field", async () => {
    const { gateway } = await benchWith();
    for (const body of [{ model: MODEL }, { model: `${MODEL}:latest` }, { name: "short:latest" }]) {
      const shown = await jsonOf(await post(gateway, "/api/show", JSON.stringify(body)));
      expect(shown).toMatchObject({
        capabilities: ["completion", "tools"],
        model_info: { "general.architecture": "cortex", "cortex.context_length": 4096 },
      });
    }
    const none = await post(gateway, "/api/show", '{"model":"org/none"}');
    expect(none.status).toBe(404);
    expect(await none.json()).toMatchObject({ error: saying("org/none") });
  });

  test("what the file of a model says, also after it has left", async () => {
    const file = {
      bytes: 4_920_739_232,
      architecture: "llama",
      parameters: 8_030_261_312,
      quantization: "Q4_K_M",
      trained_context: 131_072,
      embedding_length: 4096,
    };
    const neuron = await fakeNeuron({ models: [residentModel(MODEL, { file })] });
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL, limit: { context: 4096 } }]));
    const details = {
      format: "gguf",
      family: "llama",
      families: ["llama"],
      parameter_size: "8B",
      quantization_level: "Q4_K_M",
    };
    const check = async () => {
      expect(await get(gateway.address, "/api/tags")).toMatchObject({
        models: [{ name: MODEL, size: file.bytes, details, capabilities: ["completion", "tools"] }],
      });
      expect(await jsonOf(await post(gateway, "/api/show", JSON.stringify({ model: MODEL })))).toMatchObject({
        details,
        parameters: "num_ctx 4096",
        capabilities: ["completion", "tools"],
        model_info: {
          "general.architecture": "llama",
          "general.parameter_count": file.parameters,
          // What is served, since clients fill it.
          "llama.context_length": 4096,
          "cortex.trained_context_length": 131_072,
          "llama.embedding_length": 4096,
        },
      });
    };
    await check();
    expect(await get(gateway.address, "/api/ps")).toMatchObject({ models: [{ details, node: "n1" }] });
    neuron.models.clear();
    neuron.generation += 1;
    await eventually(async () => {
      expect(await get(gateway.address, "/api/ps")).toEqual({ models: [] });
    });
    await check();
  });

  test("until when a copy stays: as the files say for what came on demand, else no moment is known", async () => {
    const clock = new ManualClock();
    const models = [
      residentModel("org/declared"),
      residentModel("org/idle", { origin: { kind: "request" } }),
      residentModel("org/stays", { origin: { kind: "request" } }),
    ];
    const neuron = await fakeNeuron({ models });
    const blocks = [
      { id: "org/declared", replicas: 1 },
      { id: "org/idle", idle_unload_secs: 900 },
      { id: "org/stays" },
    ];
    const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, blocks), { clock });
    const running = (await get(gateway.address, "/api/ps")) as {
      models: { name: string; expires_at: string }[];
    };
    const until = Object.fromEntries(running.models.map(({ name, expires_at: at }) => [name, at]));
    expect(until["org/declared"]).toBe("2300-01-01T00:00:00Z");
    expect(until["org/stays"]).toBe("2300-01-01T00:00:00Z");
    expect(Date.parse(until["org/idle"] ?? "") - clock.nowMs()).toBe(900_000);
  });

  test("a model that a client lets go stays as long as nobody needs its place, and no model is asked", async () => {
    const { gateway, neuron } = await benchWith();
    const asked = neuron.calls.length;
    const body = JSON.stringify({ model: `${MODEL}:latest`, keep_alive: 0 });
    const response = await post(gateway, "/api/generate", body);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/x-ndjson");
    expect(linesOf(await response.text())).toMatchObject([{ done: true, done_reason: "unload" }]);
    expect(neuron.calls.slice(asked).filter(({ path }) => path.startsWith("/v1/"))).toEqual([]);
    expect(await get(gateway.address, "/api/ps")).toMatchObject({ models: [{ name: MODEL }] });
    const none = await post(gateway, "/api/generate", '{"model":"org/none","keep_alive":0}');
    expect(none.status).toBe(404);
    expect(await none.json()).toMatchObject({ error: saying("org/none") });
  });

  test.each([
    { method: "POST", path: "/api/pull", body: { model: "org/none" }, says: "[[models]]" },
    { method: "POST", path: "/api/create", body: { model: "x" }, says: "[[models]]" },
    { method: "POST", path: "/api/push", body: { model: "x" }, says: "not published" },
    { method: "POST", path: "/api/copy", body: { source: "a", destination: "b" }, says: "[aliases]" },
    { method: "DELETE", path: "/api/delete", body: { model: MODEL }, says: "cortex apply" },
  ])("$path says what to do instead", async ({ method, path, body, says }) => {
    const { gateway } = await benchWith();
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${gateway.address}${path}`, {
      method,
      headers,
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({ error: saying(says) });
  });

  test("there is nothing to fetch for a model that is offered", async () => {
    const { gateway } = await benchWith();
    const response = await post(gateway, "/api/pull", `{"model":"${MODEL}:latest"}`);
    expect(await response.text()).toBe('{"status":"success"}\n');
  });

  test("other methods, and routes that are not there, are refused in the dialect", async () => {
    const { gateway } = await benchWith();
    const wrong = await fetch(`${gateway.address}/api/chat`);
    expect(wrong.status).toBe(405);
    expect(await wrong.json()).toMatchObject({ error: TEXT });
    const none = await fetch(`${gateway.address}/api/none`);
    expect(none.status).toBe(404);
    expect(await none.json()).toMatchObject({ error: TEXT });
  });
});
