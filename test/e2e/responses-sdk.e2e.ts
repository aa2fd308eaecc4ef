import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { toResponseInputItems } from "openai/lib/responses/ResponseInputItems";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
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
let client: OpenAI;

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
"gpt-demo" = "cortex/demo"
`,
  });
  await applyFleet(fleet);
  client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const QUESTION = {
  model: "gpt-demo",
  input: "What is cortex?",
  max_output_tokens: 128,
  temperature: 0,
};

const LONG = {
  ...QUESTION,
  max_output_tokens: 1500,
  text: { format: { type: "json_schema" as const, name: "long", schema: LONG_LIST } },
};

const WEATHER: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "get_weather",
  description: "Get the current weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  strict: false,
};

const shortAnswer = () => client.responses.create({ ...QUESTION, max_output_tokens: 4 });

const firstText = (stream: ReturnType<OpenAI["responses"]["stream"]>): Promise<void> =>
  new Promise((resolve) => {
    stream.once("response.output_text.delta", () => {
      resolve();
    });
  });

describe("the official SDK over the real engine", () => {
  test("whole and streamed say the same, with the same usage", async () => {
    const whole = await client.responses.create(QUESTION);
    expect(whole).toMatchObject({ object: "response", status: "completed", model: "gpt-demo", error: null });
    expect(whole.output_text).not.toBe("");
    const streamed = await client.responses.stream(QUESTION).finalResponse();
    expect(streamed.status).toBe("completed");
    expect(streamed.output_text).toBe(whole.output_text);
    expect(streamed.usage?.output_tokens).toBe(whole.usage?.output_tokens);
    expect(streamed.usage?.input_tokens).toBe(whole.usage?.input_tokens);
    // The second time the prompt comes out of the cache.
    expect(streamed.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(0);
  });

  test("instructions and messages of every role are taken, and the limit of an answer is told", async () => {
    const cut = await client.responses.create({
      ...QUESTION,
      instructions: "You answer in one word.",
      input: [
        { role: "developer", content: "Be brief." },
        { type: "message", role: "user", content: [{ type: "input_text", text: "What is cortex?" }] },
      ],
      max_output_tokens: 3,
    });
    expect(cut).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      usage: { output_tokens: 3 },
    });
    const streamed = await client.responses.stream({ ...QUESTION, max_output_tokens: 3 }).finalResponse();
    expect(streamed.status).toBe("incomplete");
  });

  test("a tool is called, and its result is answered, streamed", async () => {
    const asked = { role: "user" as const, content: "What is the weather in Lisbon?" };
    const request = { ...QUESTION, tools: [WEATHER], store: false };
    const first = await client.responses.stream({ ...request, input: [asked] }).finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    expect(call).toMatchObject({
      name: "get_weather",
      arguments: expect.stringContaining("Lisbon") as string,
    });
    const second = await client.responses
      .stream({
        ...request,
        input: [
          asked,
          ...toResponseInputItems(first.output),
          { type: "function_call_output", call_id: call?.call_id ?? "", output: "sunny" },
        ],
      })
      .finalResponse();
    expect(second.output_text).not.toBe("");
    const demanded = { type: "function" as const, name: "get_weather" };
    const forced = await client.responses.create({ ...request, tool_choice: demanded });
    expect(forced.output.at(-1)).toMatchObject({ type: "function_call", name: "get_weather" });
  });

  test("a session goes on by the id of the last response, and by the id of an item", async () => {
    const request = { ...QUESTION, tools: [WEATHER] };
    const first = await client.responses.create({ ...request, input: "What is the weather in Lisbon?" });
    const call = first.output.find((item) => item.type === "function_call");
    const output = { type: "function_call_output" as const, call_id: call?.call_id ?? "", output: "sunny" };
    const next = { ...request, input: [output] };
    const second = await client.responses.create({ ...next, previous_response_id: first.id });
    expect(second.previous_response_id).toBe(first.id);
    // The model is asked the same as by a client that sends all of it.
    const asked = { role: "user" as const, content: "What is the weather in Lisbon?" };
    const all = { ...request, input: [asked, ...toResponseInputItems(first.output), output] };
    const whole = await client.responses.create(all);
    expect(second.usage?.input_tokens).toBe(whole.usage?.input_tokens);
    expect(second.output_text).toBe(whole.output_text);
    const reference = { type: "item_reference" as const, id: call?.id ?? "" };
    const named = await client.responses.create({ ...request, input: [asked, reference, output] });
    expect(named.usage?.input_tokens).toBe(whole.usage?.input_tokens);
    const streamed = await client.responses
      .stream({ ...next, previous_response_id: first.id, store: false })
      .finalResponse();
    await expect(
      client.responses.create({ ...QUESTION, previous_response_id: streamed.id }),
    ).rejects.toMatchObject({ code: "previous_response_not_found" });
  });

  test("an answer is held to its schema", async () => {
    const Colour = z.object({ colour: z.enum(["red", "green"]), bright: z.boolean() });
    const parsed = await client.responses.parse({
      ...QUESTION,
      input: "Name a colour.",
      text: { format: zodTextFormat(Colour, "colour") },
    });
    expect(Colour.parse(parsed.output_parsed)).toEqual(parsed.output_parsed);
  });

  test("errors have the SDK's classes", async () => {
    await expect(client.responses.create({ ...QUESTION, model: "gpt-none" })).rejects.toThrow(
      OpenAI.NotFoundError,
    );
    const long = { ...QUESTION, input: "word ".repeat(20_000) };
    await expect(client.responses.create(long)).rejects.toMatchObject({
      status: 400,
      code: "context_length_exceeded",
    });
    await expect(
      client.responses.create({ ...QUESTION, previous_response_id: "resp_1" }),
    ).rejects.toMatchObject({
      status: 400,
      code: "previous_response_not_found",
      param: "previous_response_id",
    });
  });

  test("leaving frees the only slot", async () => {
    const stream = client.responses.stream(LONG);
    await firstText(stream);
    stream.abort();
    await expect(stream.finalResponse()).rejects.toThrow(OpenAI.APIUserAbortError);
    expect((await shortAnswer()).output_text).not.toBe("");
  });

  test("a worker that dies in the middle is an error, never an answer", async () => {
    const [pid] = await workerPids(fleet);
    if (pid === undefined) throw new Error("no worker");
    const stream = client.responses.stream(LONG);
    await firstText(stream);
    process.kill(pid, "SIGKILL");
    await expect(stream.finalResponse()).rejects.toThrow(OpenAI.APIError);
    await eventually(async () => {
      expect((await shortAnswer()).output_text).not.toBe("");
    });
  });
});
