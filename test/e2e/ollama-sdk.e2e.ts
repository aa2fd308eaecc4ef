import { Ollama, type ChatResponse } from "ollama";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";
import { LONG_LIST } from "../support/long-list.ts";
import {
  applyFleet,
  type RunningFleet,
  sourceOf,
  startFleet,
  workerPids,
} from "../support/fleet/running-fleet.ts";

const DEMO_MODEL = fileURLToPath(new URL("../../assets/demo/cortex-demo.gguf", import.meta.url));

let fleet: RunningFleet;
let client: Ollama;

beforeAll(async () => {
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    models: `[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"
replicas = 1
parallel = 1

[aliases]
demo = "cortex/demo"
`,
  });
  await applyFleet(fleet);
  client = new Ollama({ host: fleet.gatewayUrl });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const QUESTION = {
  model: "demo",
  messages: [{ role: "user", content: "What is cortex?" }],
  options: { temperature: 0, num_predict: 128 },
};

const ENDLESS = { ...QUESTION, options: { num_predict: 1500 }, format: LONG_LIST };

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const CITY: unknown = expect.stringMatching(/^(?:Lisbon|Oslo)$/);
const NUMBER: unknown = expect.any(Number);
const TEXT: unknown = expect.any(String);

async function collected(stream: AsyncIterable<ChatResponse>): Promise<ChatResponse[]> {
  const parts: ChatResponse[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const textOf = (parts: readonly ChatResponse[]): string =>
  parts.map(({ message }) => message.content).join("");

const answers = async (): Promise<string> =>
  (await client.chat({ ...QUESTION, options: { num_predict: 4 } })).message.content;

describe("the official SDK over the real engine", () => {
  test("whole and streamed say the same, with counts and times", async () => {
    const whole = await client.chat(QUESTION);
    expect(whole).toMatchObject({ model: "demo", done: true, done_reason: "stop" });
    expect(whole.message.content).not.toBe("");
    expect(whole.eval_count).toBeGreaterThan(0);
    expect(whole.eval_duration).toBeGreaterThan(0);
    expect(whole.total_duration).toBeGreaterThanOrEqual(whole.eval_duration);
    const parts = await collected(await client.chat({ ...QUESTION, stream: true }));
    expect(textOf(parts)).toBe(whole.message.content);
    expect(parts.at(-1)).toMatchObject({
      done: true,
      done_reason: "stop",
      eval_count: whole.eval_count,
      prompt_eval_count: whole.prompt_eval_count,
    });
  });

  test("generate, raw and in the template; a limit is named", async () => {
    const options = { temperature: 0, num_predict: 3 };
    const asked = await client.generate({ model: "demo:latest", prompt: "What is cortex?", options });
    expect(asked).toMatchObject({ model: "demo:latest", done: true, done_reason: "length", eval_count: 3 });
    const raw = await client.generate({ model: "demo", prompt: "cortex", raw: true, options });
    expect(raw).toMatchObject({ done: true, done_reason: "length", eval_count: 3 });
    const loaded = await client.generate({ model: "demo", prompt: "" });
    expect(loaded).toMatchObject({ response: "", done: true, done_reason: "load" });
    const released = await client.generate({ model: "demo", prompt: "", keep_alive: 0 });
    expect(released).toMatchObject({ response: "", done: true, done_reason: "unload" });
    const kept = await client.generate({ model: "demo", prompt: "What is cortex?", options, keep_alive: -1 });
    expect(kept).toMatchObject({ done: true, done_reason: "length" });
  });

  test("a tool is called, streamed, and its result is answered", async () => {
    const asked = { role: "user", content: "What is the weather in Lisbon?" };
    const request = { ...QUESTION, tools: [WEATHER], messages: [asked] };
    const parts = await collected(await client.chat({ ...request, stream: true }));
    const [call] = parts.flatMap(({ message }) => message.tool_calls ?? []);
    expect(call?.function).toMatchObject({ name: "get_weather", arguments: { city: "Lisbon" } });
    const second = await client.chat({
      ...request,
      messages: [
        asked,
        { role: "assistant", content: "", tool_calls: call === undefined ? [] : [call] },
        { role: "tool", tool_name: "get_weather", content: "sunny" },
      ],
    });
    expect(second.message.content).not.toBe("");
  });

  test("an answer follows its schema", async () => {
    const format = {
      type: "object",
      properties: { city: { type: "string", enum: ["Lisbon", "Oslo"] } },
      required: ["city"],
      additionalProperties: false,
    };
    const { message } = await client.chat({ ...QUESTION, format });
    expect(JSON.parse(message.content)).toEqual({ city: CITY });
  });

  test("vectors, by both routes", async () => {
    const { embeddings } = await client.embed({ model: "demo", input: ["one", "two"] });
    expect(embeddings.map((vector) => vector.length)).toEqual([embeddings[0]?.length, embeddings[0]?.length]);
    expect(embeddings[0]?.length).toBeGreaterThan(1);
    const { embedding } = await client.embeddings({ model: "demo", prompt: "one" });
    expect(embedding).toHaveLength(embeddings[0]?.length ?? 0);
  });

  test("the list, what is loaded, what a model can do, and a version", async () => {
    const { models } = await client.list();
    expect(models.map(({ name }) => name)).toEqual(["cortex/demo", "demo"]);
    const { models: running } = await client.ps();
    expect(running).toEqual([expect.objectContaining({ name: "cortex/demo" })]);
    const shown = await client.show({ model: "demo:latest" });
    expect(shown.capabilities).toEqual(expect.arrayContaining(["completion", "tools", "embedding"]));
    expect(shown.details).toMatchObject({ format: "gguf", family: "llama", quantization_level: "Q8_0" });
    expect(shown.details.parameter_size).toMatch(/^[\d.]+[KMB]$/);
    expect(shown.model_info).toMatchObject({
      "general.architecture": "llama",
      "llama.context_length": NUMBER,
      "general.parameter_count": NUMBER,
    });
    expect(models[0]?.details).toEqual(shown.details);
    expect(await client.version()).toMatchObject({ version: TEXT });
  });

  test("errors are told, and managing models says what to do instead", async () => {
    await expect(client.chat({ ...QUESTION, model: "none" })).rejects.toMatchObject({ status_code: 404 });
    const long = { ...QUESTION, messages: [{ role: "user", content: "word ".repeat(20_000) }] };
    await expect(client.chat(long)).rejects.toMatchObject({ status_code: 400 });
    const shown = { ...QUESTION, messages: [{ role: "user", content: "what?", images: ["iVBORw0KGgo="] }] };
    await expect(client.chat(shown)).rejects.toThrow(/image/);
    await expect(client.delete({ model: "demo" })).rejects.toThrow(/fleet files/);
    expect(await client.pull({ model: "demo" })).toMatchObject({ status: "success" });
  });

  test("leaving frees the only slot", async () => {
    const stream = await client.chat({ ...ENDLESS, stream: true });
    const leaving = async () => {
      for await (const { done } of stream) {
        expect(done).toBe(false);
        stream.abort();
      }
    };
    await expect(leaving()).rejects.toThrow(/abort/);
    expect(await answers()).not.toBe("");
  });

  test("a worker that dies in the middle is an error, never an answer", async () => {
    const [pid] = await workerPids(fleet);
    if (pid === undefined) throw new Error("no worker");
    const stream = await client.chat({ ...ENDLESS, stream: true });
    const first = await stream[Symbol.asyncIterator]().next();
    expect(first).toMatchObject({ done: false });
    process.kill(pid, "SIGKILL");
    const reading = async () => {
      for await (const { done } of stream) expect(done).toBe(false);
    };
    await expect(reading()).rejects.toThrow(/worker|model|answer/);
    await eventually(async () => {
      expect(await answers()).not.toBe("");
    });
  });
});
