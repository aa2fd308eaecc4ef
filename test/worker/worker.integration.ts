import { stat } from "node:fs/promises";
import OpenAI from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { completionSchema, embeddingsResponseSchema } from "../../src/protocol/openai/chat.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { chunksOf, contentOf, workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

const CHAT = "/v1/chat/completions";
const textOf = (body: unknown) => completionSchema.parse(body).choices[0]?.text;
const messages = [{ role: "user", content: "hello there" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", maxLength: 6 },
        days: { type: "integer", minimum: 1, maximum: 7 },
      },
      required: ["city"],
    },
  },
};

describe("a worker that serves a model", () => {
  let worker: SpawnedWorker;
  let http: WorkerHttp;

  beforeAll(async () => {
    worker = await spawnWorker(await tinyModelFile(), { parallel: 2 });
    http = workerHttp(worker.socketPath);
  });
  afterAll(async () => {
    await http.close();
    await worker.stop();
  });

  test("reports what was loaded, on a socket that only the user can open", async () => {
    expect(worker.facts).toMatchObject({
      context_tokens: 1024,
      trained_context_tokens: 1024,
      capabilities: ["text", "tools", "embeddings"],
      tool_call: true,
      reasoning: false,
      parallel: 2,
      architecture: "llama",
      parameter_count: 115_776,
    });
    expect(worker.facts.memory_bytes).toBeGreaterThan(463_104);
    expect((await stat(worker.socketPath)).mode & 0o777).toBe(0o600);
    expect(await http.health()).toMatchObject({ status: "ok", slots: 2, slots_free: 2, queued: 0 });
  });

  test.each([{ temperature: 0 }, { temperature: 1, seed: 11 }])(
    "streamed and not, the text is the same: %j",
    async (sampling) => {
      const request = { messages, max_tokens: 40, ...sampling };
      const whole = await http.chat(request);
      const stream = await http.stream({ ...request, stream_options: { include_usage: true } });
      expect(stream.headers["content-type"]).toContain("text/event-stream");
      const events = await stream.rest();
      const chunks = chunksOf(events);
      expect(contentOf(chunks)).toBe(whole.choices[0]?.message.content);
      expect(chunks[0]?.choices[0]?.delta).toEqual({ role: "assistant", content: "" });
      expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("length");
      expect(chunks.at(-1)).toMatchObject({
        choices: [],
        usage: { completion_tokens: 40, prompt_tokens: whole.usage.prompt_tokens },
      });
      expect(events.at(-1)).toBe("data: [DONE]");
    },
  );

  test("other seeds write other text", async () => {
    const texts = await Promise.all(
      [1, 2, 3].map(
        async (seed) => (await http.chat({ messages, max_tokens: 30, temperature: 1, seed })).choices,
      ),
    );
    expect(new Set(texts.map((choices) => choices[0]?.message.content)).size).toBe(3);
  });

  test("two streams are written side by side", async () => {
    const both = await Promise.all([1, 2].map((seed) => http.stream({ messages, max_tokens: 300, seed })));
    // Each has begun before either has ended.
    const first = await Promise.all(both.map((stream) => stream.events.next()));
    expect(first.every((event) => event.done !== true)).toBe(true);
    expect((await http.health()).slots_busy).toBe(2);
    const rests = await Promise.all(both.map((stream) => stream.rest()));
    for (const rest of rests) expect(contentOf(chunksOf(rest))).toHaveLength(300);
  });

  test("a conversation that goes on is computed from where it parts", async () => {
    const opening = [
      { role: "system", content: "You are brief and exact in all that you say." },
      ...messages,
    ];
    const first = await http.chat({ messages: opening, max_tokens: 8 });
    const reply = { role: "assistant", content: first.choices[0]?.message.content };
    const second = await http.chat({
      messages: [...opening, reply, { role: "user", content: "and then?" }],
      max_tokens: 4,
    });
    const cached = second.usage.prompt_tokens_details?.cached_tokens ?? 0;
    expect(cached).toBeGreaterThanOrEqual(first.usage.prompt_tokens);
    expect(second.timings?.prompt_n).toBe(second.usage.prompt_tokens - cached);
    expect(second.timings?.time_to_first_token_ms).toBeGreaterThan(0);
  });

  test("what the cache holds never changes the answer", async () => {
    const request = { messages, max_tokens: 30, temperature: 0 };
    const cold = await http.chat({ ...request, messages: [{ role: "user", content: "something else" }] });
    const again = await http.chat({ ...request, messages: [{ role: "user", content: "something else" }] });
    expect(again.usage.prompt_tokens_details?.cached_tokens).toBe(again.usage.prompt_tokens - 1);
    expect(again.choices[0]?.message.content).toBe(cold.choices[0]?.message.content);
  });

  test("a stop string ends the text before it", async () => {
    const request = { messages, max_tokens: 40, temperature: 0 };
    const text = (await http.chat(request)).choices[0]?.message.content ?? "";
    const stop = text.slice(10, 13);
    const stopped = (await http.chat({ ...request, stop: [stop, "never said"] })).choices[0];
    expect(stopped?.message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped?.finish_reason).toBe("stop");
  });

  test("a schema is followed", async () => {
    const schema = {
      type: "object",
      properties: {
        kind: { enum: ["a", "b"] },
        size: { type: "integer", minimum: 3, maximum: 120 },
        tags: { type: "array", items: { type: "string", maxLength: 3 }, minItems: 1, maxItems: 2 },
        when: { type: "string", format: "date" },
        more: { type: "boolean" },
      },
      required: ["kind", "size", "tags", "when"],
      additionalProperties: false,
    };
    for (const seed of [1, 2, 3]) {
      const answer = await http.chat({
        messages,
        seed,
        temperature: 1,
        max_tokens: 400,
        response_format: { type: "json_schema", json_schema: { name: "thing", schema } },
      });
      expect(answer.choices[0]?.finish_reason).toBe("stop");
      const thing = JSON.parse(answer.choices[0]?.message.content ?? "") as Record<string, unknown>;
      expect(["a", "b"]).toContain(thing["kind"]);
      expect(thing["size"]).toSatisfy((size: number) => Number.isInteger(size) && size >= 3 && size <= 120);
      expect(thing["tags"]).toSatisfy(
        (tags: string[]) => tags.length >= 1 && tags.every((tag) => Array.from(tag).length <= 3),
      );
      expect(new Date(thing["when"] as string).getTime()).not.toBeNaN();
      expect(Object.keys(thing).every((key) => key in schema.properties)).toBe(true);
    }
  });

  test.each(["required", { type: "function", function: { name: "get_weather" } }])(
    "a demanded call is made: %j",
    async (choice) => {
      const request = {
        messages,
        tools: [weather],
        tool_choice: choice,
        parallel_tool_calls: false,
        max_tokens: 300,
        seed: 5,
      };
      const message = (await http.chat(request)).choices[0];
      expect(message?.finish_reason).toBe("tool_calls");
      const call = message?.message.tool_calls?.[0];
      expect(call?.function.name).toBe("get_weather");
      const given = JSON.parse(call?.function.arguments ?? "") as { city: string; days?: number };
      expect(given.city.length).toBeLessThanOrEqual(6);
      const chunks = chunksOf(await (await http.stream(request)).rest());
      const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
      expect(deltas[0]).toMatchObject({ index: 0, function: { name: "get_weather" } });
      expect(deltas.map((delta) => delta.function.arguments ?? "").join("")).toBe(call?.function.arguments);
      expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("tool_calls");
    },
  );

  test("text of a call is text when no tool may be called", async () => {
    const answer = await http.chat({ messages, tools: [weather], tool_choice: "none", max_tokens: 5 });
    expect(answer.usage.prompt_tokens).toBe(
      (await http.chat({ messages, max_tokens: 1 })).usage.prompt_tokens,
    );
    expect(answer.choices[0]?.message.tool_calls).toBeUndefined();
  });

  test("penalties and biases act", async () => {
    const greedy = { messages, max_tokens: 30, temperature: 0 };
    const plain = (await http.chat(greedy)).choices[0]?.message.content ?? "";
    const punished = await http.chat({ ...greedy, frequency_penalty: 2 });
    expect(new Set(punished.choices[0]?.message.content).size).toBeGreaterThan(new Set(plain).size);
    // Byte tokens follow the five control tokens.
    const biased = await http.chat({ ...greedy, logit_bias: { [5 + "A".charCodeAt(0)]: 100 } });
    expect(biased.choices[0]?.message.content).toBe("A".repeat(30));
  });

  test.each([
    [{ messages, top_logprobs: 3 }, 422, "invalid_request_body", "top_logprobs"],
    [{ messages, n: 129 }, 422, "invalid_request_body", "n"],
    [{ messages, reasoning_effort: "high" }, 400, "unsupported_parameter", "reasoning_effort"],
    [{ messages, logit_bias: { 4: 1 } }, 400, "unsupported_parameter", "logit_bias.4"],
    [{ messages, logit_bias: { 99999: 1 } }, 422, "invalid_request_body", "logit_bias.99999"],
    [{ messages: "hi" }, 422, "invalid_request_body", "messages"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
      400,
      "vision_unsupported",
      "messages.0.content.0",
    ],
  ])("%j is refused", async (...[body, status, code, param]) => {
    expect(await http.fails(CHAT, body)).toMatchObject({ status, code, param });
    expect(await http.fails(CHAT, { ...body, stream: true })).toMatchObject({ status, code, param });
  });

  test("a prompt that does not fit is refused with the figures; one that fits ends with the context", async () => {
    const long = [{ role: "user", content: "x".repeat(1100) }];
    expect(await http.fails(CHAT, { messages: long })).toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      max_prompt_tokens: 1023,
      prompt_tokens: 1119,
      // OpenAI's words: agents shorten the conversation when they read them.
      message:
        "This model's maximum context length is 1024 tokens. However, your messages resulted in 1119 tokens. Please reduce the length of the messages.",
    });
    const fits = await http.chat({ messages: [{ role: "user", content: "x".repeat(900) }] });
    expect(fits.usage.total_tokens).toBe(1024);
    expect(fits.choices[0]?.finish_reason).toBe("length");
  });

  test("no tokens asked for, none written", async () => {
    const answer = await http.chat({ messages, max_tokens: 0 });
    expect(answer.choices[0]).toMatchObject({ message: { content: "" }, finish_reason: "length" });
    expect(answer.usage.completion_tokens).toBe(0);
  });

  test("embeddings are unit vectors, the same in both encodings and batched or not", async () => {
    const embed = async (body: object) =>
      embeddingsResponseSchema.parse((await http.post("/v1/embeddings", body)).body);
    const floats = await embed({ input: ["one", "two"] });
    const vectors = floats.data.map((item) => item.embedding as number[]);
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    const base64 = await embed({ input: "two", encoding_format: "base64" });
    const bytes = Buffer.from(base64.data[0]?.embedding as string, "base64");
    const second = vectors[1] ?? [];
    for (const [index, value] of second.entries()) expect(bytes.readFloatLE(index * 4)).toBeCloseTo(value, 5);
    expect(floats.usage.prompt_tokens).toBe(6);
    expect(await http.fails("/v1/embeddings", { input: "a", dimensions: 3 })).toMatchObject({
      param: "dimensions",
    });
    expect(await http.fails("/v1/embeddings", { input: "x".repeat(2000) })).toMatchObject({
      code: "context_length_exceeded",
    });
  });

  test("legacy completions continue a prompt of text or tokens", async () => {
    const text = await http.post("/v1/completions", { prompt: "abc", temperature: 0, max_tokens: 6 });
    const tokens = "abc".split("").map((character) => 5 + character.charCodeAt(0));
    const same = await http.post("/v1/completions", { prompt: tokens, temperature: 0, max_tokens: 6 });
    expect(textOf(text.body)).toHaveLength(6);
    expect(textOf(same.body)).toBe(textOf(text.body));
    expect(await http.fails("/v1/completions", { prompt: [100_000] })).toMatchObject({ param: "prompt" });
  });

  test("an echoed prompt comes first, whole and streamed alike", async () => {
    const request = { prompt: "abc", temperature: 0, max_tokens: 6 };
    const written = textOf((await http.post("/v1/completions", request)).body);
    expect(textOf((await http.post("/v1/completions", { ...request, echo: true })).body)).toBe(
      `abc${written}`,
    );
    const tokens = [...Buffer.from("abc")].map((byte) => 5 + byte);
    const echoed = await http.post("/v1/completions", { ...request, prompt: tokens, echo: true });
    expect(textOf(echoed.body)).toBe(`abc${written}`);
  });

  test("a bias that leaves a grammar no token fails its own request and no other", async () => {
    // Once this ended the worker with all its streams.
    const beside = await http.stream({ messages, max_tokens: 300, temperature: 0 });
    const impossible = {
      messages,
      max_tokens: 20,
      response_format: { type: "json_object" },
      logit_bias: { [5 + "{".charCodeAt(0)]: -100 },
    };
    for (const temperature of [0, 1]) {
      expect(await http.fails(CHAT, { ...impossible, temperature })).toMatchObject({
        status: 400,
        code: "unsupported_parameter",
        param: "logit_bias",
      });
    }
    expect((await beside.rest()).at(-1)).toBe("data: [DONE]");
    await http.until((health) => health.slots_busy === 0);
  });

  test("broken JSON and unknown routes answer with the envelope", async () => {
    expect(await http.fails("/v1/nothing", {})).toMatchObject({ status: 404, code: "route_not_found" });
    expect(await http.fails("/v1/completions", { prompt: "" })).toMatchObject({
      code: "invalid_request_body",
    });
  });

  test("OpenAI's own client reads the answers", async () => {
    const dispatcher = new Agent({ connect: { socketPath: worker.socketPath } });
    const client = new OpenAI({
      apiKey: "none",
      baseURL: "http://localhost/v1",
      fetch: ((url: string, init: object) =>
        undiciFetch(url, { ...init, dispatcher })) as unknown as typeof globalThis.fetch,
    });
    const stream = client.chat.completions.stream({
      model: "tiny",
      messages: [{ role: "user", content: "hello there" }],
      max_tokens: 12,
      temperature: 0,
    });
    const final = await stream.finalChatCompletion();
    const whole = await http.chat({ messages, max_tokens: 12, temperature: 0 });
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    const embedded = await client.embeddings.create({ model: "tiny", input: "one" });
    expect(Math.hypot(...(embedded.data[0]?.embedding ?? []))).toBeCloseTo(1, 5);
    await dispatcher.close();
  });
});

describe("text that is no plain ASCII", () => {
  test("comes out of a stream as it comes out whole", async () => {
    const worker = await spawnWorker(await tinyModelFile({ output: "bytes" }));
    const http = workerHttp(worker.socketPath);
    const request = { messages, max_tokens: 200, temperature: 1.5, seed: 3 };
    const whole = (await http.chat(request)).choices[0]?.message.content;
    const chunks = chunksOf(await (await http.stream(request)).rest());
    expect(contentOf(chunks)).toBe(whole);
    expect(whole).toContain("\u{FFFD}");
    await http.close();
    await worker.stop();
  });
});

describe("a model that ends its answers", () => {
  test("stops when it says so, unless told to go on", async () => {
    const worker = await spawnWorker(await tinyModelFile({ endOfText: 40 }));
    const http = workerHttp(worker.socketPath);
    const answer = await http.chat({ messages, max_tokens: 20 });
    expect(answer.choices[0]).toMatchObject({ message: { content: "" }, finish_reason: "stop" });
    const goesOn = await http.chat({ messages, max_tokens: 20, ignore_eos: true });
    expect(goesOn.usage.completion_tokens).toBe(20);
    expect(goesOn.choices[0]?.finish_reason).toBe("length");
    await http.close();
    await worker.stop();
  });
});

describe("a file without a chat template", () => {
  test("is chatted with in the format that its vocabulary has the marks of", async () => {
    const worker = await spawnWorker(await tinyModelFile({ chatTemplate: null }));
    const http = workerHttp(worker.socketPath);
    expect((await http.chat({ messages, max_tokens: 3 })).usage).toMatchObject({
      completion_tokens: 3,
      prompt_tokens: 30,
    });
    expect(await http.fails(CHAT, { messages, tools: [weather] })).toMatchObject({
      code: "template_render_failed",
    });
    await http.close();
    await worker.stop();
  });
});
