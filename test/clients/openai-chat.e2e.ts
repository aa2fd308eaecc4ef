import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../support/eventually.ts";
import { residentModels } from "../support/fleet/running-fleet.ts";
import { LONG_LIST } from "../support/long-list.ts";
import { startDemoFleet, type DemoFleet } from "./demo-fleet.ts";

let fleet: DemoFleet;
let client: OpenAI;

beforeAll(async () => {
  fleet = await startDemoFleet();
  client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const MODEL = "cortex/demo";
const ASKED = { role: "user" as const, content: "What is the weather in Lisbon?" };
const WEATHER: OpenAI.ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const QUESTION = { model: MODEL, temperature: 0, max_tokens: 128, messages: [ASKED] };
const LONG = {
  ...QUESTION,
  max_tokens: 1500,
  response_format: {
    type: "json_schema" as const,
    json_schema: { name: "long", schema: LONG_LIST },
  },
};

function messageOf({ choices }: OpenAI.ChatCompletion): OpenAI.ChatCompletionMessage {
  const [choice] = choices;
  if (choice === undefined) throw new Error("an answer without a choice");
  return choice.message;
}

async function answerAgain(): Promise<void> {
  const { choices } = await client.chat.completions.create({ ...QUESTION, max_tokens: 4 });
  expect(choices[0]?.message.content).not.toBe("");
}

describe("chat, with the official SDK over the real engine", () => {
  test("a tool is called, and its result is answered, whole and streamed", async () => {
    const request = { ...QUESTION, tools: [WEATHER] };
    const whole = await client.chat.completions.create(request);
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    const said = messageOf(streamed);
    const [call] = said.tool_calls ?? [];
    expect(call).toMatchObject({
      type: "function",
      function: {
        name: "get_weather",
        arguments: expect.stringContaining("Lisbon") as string,
      },
    });
    expect(whole.choices[0]?.finish_reason).toBe("tool_calls");
    expect(streamed.choices[0]?.finish_reason).toBe("tool_calls");
    const result = { role: "tool" as const, tool_call_id: call?.id ?? "", content: "sunny" };
    const next = { ...request, messages: [ASKED, said, result] };
    const second = await client.chat.completions.stream(next).finalChatCompletion();
    expect(messageOf(second).content ?? messageOf(second).tool_calls).toBeTruthy();
    const demanded = await client.chat.completions.create({
      ...request,
      tool_choice: { type: "function", function: { name: "get_weather" } },
    });
    expect(messageOf(demanded).tool_calls?.[0]).toMatchObject({ function: { name: "get_weather" } });
  });

  test("an answer is held to its schema", async () => {
    const Colour = z.object({ colour: z.enum(["red", "green"]), bright: z.boolean() });
    const { choices } = await client.chat.completions.parse({
      ...QUESTION,
      messages: [{ role: "user", content: "Name a colour." }],
      response_format: zodResponseFormat(Colour, "colour"),
    });
    expect(Colour.parse(choices[0]?.message.parsed)).toEqual(choices[0]?.message.parsed);
  });

  test("legacy completions, whole and streamed", async () => {
    const request = { model: MODEL, prompt: "cortex turns", temperature: 0, max_tokens: 12 };
    const whole = await client.completions.create(request);
    let text = "";
    for await (const { choices } of await client.completions.create({ ...request, stream: true })) {
      text += choices[0]?.text ?? "";
    }
    expect(text).toBe(whole.choices[0]?.text);
    expect(text).not.toBe("");
  });

  test("what is wrong and what is too long have the SDK's classes", async () => {
    const long = [{ role: "user" as const, content: "word ".repeat(20_000) }];
    const failed = client.chat.completions.create({ ...QUESTION, messages: long });
    await expect(failed).rejects.toThrow(OpenAI.BadRequestError);
    await expect(failed).rejects.toMatchObject({ code: "context_length_exceeded" });
  });

  test("a worker that dies in the middle is an error, never an answer", async () => {
    const [model] = await residentModels(fleet.neuronUrl);
    if (model?.pid == null) throw new Error("no worker");
    const stream = client.chat.completions.stream({ ...LONG });
    const finished: unknown[] = [];
    stream.on("finalContent", (content) => finished.push(content));
    const killed = new Promise<void>((resolve) => {
      stream.once("content", () => {
        process.kill(model.pid ?? 0, "SIGKILL");
        resolve();
      });
    });
    await expect(stream.finalChatCompletion()).rejects.toThrow(OpenAI.APIError);
    await killed;
    expect(finished).toEqual([]);
    await eventually(answerAgain);
  });

  test("a worker that dies under a whole answer is an error", async () => {
    const [model] = await residentModels(fleet.neuronUrl);
    if (model?.pid == null) throw new Error("no worker");
    const whole = client.chat.completions.create(LONG);
    const killed = eventually(async () => {
      const health = (await (await fetch(`${fleet.neuronUrl}/health`)).json()) as {
        models: { in_flight: number }[];
      };
      expect(health.models[0]?.in_flight).toBe(1);
      process.kill(model.pid ?? 0, "SIGKILL");
    });
    await expect(whole).rejects.toThrow(OpenAI.APIError);
    await killed;
    await eventually(answerAgain);
  });
});
