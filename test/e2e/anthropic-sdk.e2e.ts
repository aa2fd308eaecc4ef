import Anthropic from "@anthropic-ai/sdk";
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
let client: Anthropic;

beforeAll(async () => {
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    models: `[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"
replicas = 1
parallel = 1

[[models]]
id = "cortex/other"
source = "${sourceOf(DEMO_MODEL)}"

[aliases]
"claude-demo" = "cortex/demo"
`,
  });
  await applyFleet(fleet);
  client = new Anthropic({ baseURL: fleet.gatewayUrl, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const QUESTION = {
  model: "claude-demo",
  max_tokens: 128,
  temperature: 0,
  messages: [{ role: "user" as const, content: "What is cortex?" }],
};

const LONG = {
  ...QUESTION,
  max_tokens: 1500,
  output_config: { format: { type: "json_schema" as const, schema: LONG_LIST } },
};

const WEATHER: Anthropic.Tool = {
  name: "get_weather",
  description: "Get the current weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

const textOf = (message: Anthropic.Message): string =>
  message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

/** All of it, out of the cache or not. */
const promptOf = ({ usage }: Anthropic.Message): number =>
  usage.input_tokens + (usage.cache_read_input_tokens ?? 0);

describe("the official SDK over the real engine", () => {
  test("whole and streamed say the same, with the same usage", async () => {
    const whole = await client.messages.create(QUESTION);
    expect(whole).toMatchObject({
      type: "message",
      role: "assistant",
      model: "claude-demo",
      stop_reason: "end_turn",
    });
    expect(textOf(whole)).not.toBe("");
    const streamed = await client.messages.stream(QUESTION).finalMessage();
    expect(textOf(streamed)).toBe(textOf(whole));
    expect(streamed.stop_reason).toBe("end_turn");
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens);
    // The second time the prompt comes out of the cache: told apart, not lost.
    expect(promptOf(streamed)).toBe(promptOf(whole));
  });

  test("a count for a model that nobody has loaded is exact, and loads nothing", async () => {
    const { model, messages } = QUESTION;
    const loaded = await client.messages.countTokens({ model, messages, tools: [WEATHER] });
    const pids = await workerPids(fleet);
    const other = await client.messages.countTokens({ model: "cortex/other", messages, tools: [WEATHER] });
    expect(other.input_tokens).toBe(loaded.input_tokens);
    expect(await workerPids(fleet)).toEqual(pids);
  });

  test("the prompt's tokens are known when a stream begins, and a count says the same", async () => {
    const { model, messages } = QUESTION;
    const counted = await client.messages.countTokens({ model, messages });
    const events: Anthropic.RawMessageStreamEvent[] = [];
    for await (const event of await client.messages.create({ ...QUESTION, stream: true })) events.push(event);
    expect(events[0]).toMatchObject({
      type: "message_start",
      message: { usage: { input_tokens: counted.input_tokens } },
    });
  });

  test("max_tokens and stop sequences end an answer, and it says which", async () => {
    const whole = await client.messages.create({ ...QUESTION, max_tokens: 3 });
    expect(whole.stop_reason).toBe("max_tokens");
    const [, word = ""] = textOf(await client.messages.create(QUESTION)).split(" ");
    const stopped = await client.messages.create({ ...QUESTION, stop_sequences: [word] });
    expect(stopped).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: word });
  });

  test("a tool is called, and its result is answered, streamed", async () => {
    const asked = { role: "user" as const, content: "What is the weather in Lisbon?" };
    const request = { ...QUESTION, tools: [WEATHER], messages: [asked] };
    const first = await client.messages.stream(request).finalMessage();
    expect(first.stop_reason).toBe("tool_use");
    const call = first.content.find((block) => block.type === "tool_use");
    expect(call).toMatchObject({ name: "get_weather", input: { city: "Lisbon" } });
    const second = await client.messages
      .stream({
        ...request,
        messages: [
          asked,
          { role: "assistant", content: first.content },
          { role: "user", content: [{ type: "tool_result", tool_use_id: call?.id ?? "", content: "sunny" }] },
        ],
      })
      .finalMessage();
    expect(textOf(second)).not.toBe("");
    const forced = await client.messages.create({
      ...request,
      messages: QUESTION.messages,
      tool_choice: { type: "tool", name: "get_weather" },
    });
    expect(forced.stop_reason).toBe("tool_use");
  });

  test("errors have the SDK's classes", async () => {
    await expect(client.messages.create({ ...QUESTION, model: "claude-none" })).rejects.toThrow(
      Anthropic.NotFoundError,
    );
    const long = { ...QUESTION, messages: [{ role: "user" as const, content: "word ".repeat(20_000) }] };
    await expect(client.messages.create(long)).rejects.toThrow(Anthropic.BadRequestError);
    await expect(client.messages.create(long)).rejects.toThrow(
      /prompt is too long: \d+ tokens > \d+ maximum/,
    );
    const image: Anthropic.ImageBlockParam = {
      type: "image",
      source: { type: "base64", media_type: "image/png", data: "AAAA" },
    };
    const shown = { ...QUESTION, messages: [{ role: "user" as const, content: [image] }] };
    await expect(client.messages.create(shown)).rejects.toMatchObject({ status: 400 });
  });

  test("leaving frees the only slot", async () => {
    const stream = client.messages.stream(LONG);
    await new Promise((resolve) => stream.once("text", resolve));
    stream.abort();
    await expect(stream.finalMessage()).rejects.toThrow(Anthropic.APIUserAbortError);
    expect(textOf(await client.messages.create({ ...QUESTION, max_tokens: 4 }))).not.toBe("");
  });

  test("a worker that dies in the middle is an error, never an answer", async () => {
    const [pid] = await workerPids(fleet);
    if (pid === undefined) throw new Error("no worker");
    const stream = client.messages.stream(LONG);
    await new Promise((resolve) => stream.once("text", resolve));
    process.kill(pid, "SIGKILL");
    await expect(stream.finalMessage()).rejects.toThrow(Anthropic.APIError);
    await eventually(async () => {
      expect(textOf(await client.messages.create({ ...QUESTION, max_tokens: 4 }))).not.toBe("");
    });
  });
});
